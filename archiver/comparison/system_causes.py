"""What differs in the machine, the backend's settings, Python and the operating system."""

from __future__ import annotations

import re

from archiver.comparison.differences import Cause, Found, Rank
from archiver.comparison.facts import Facts, Topic, differing, fact, flat, known, merged
from archiver.records.environment import SystemRecord
from archiver.records.machine import GpuPart

RECORD = "system"
_PROCESSOR = Topic("hardware", Rank.HARDWARE, "decides bits: kernels are chosen by the processor")
_GPU = Topic("hardware", Rank.HARDWARE, "decides bits: kernels are chosen by the GPU")
_DRIVER = Topic("hardware", Rank.HARDWARE, "compiles and runs what GPUs compute")
_SETTING = Topic("settings", Rank.SETTING, "a setting of Keras or its backend that decides results")
_BUILD = Topic("packages", Rank.NUMERIC_PACKAGE, "how the backend was built")
_LIBRARY = Topic("packages", Rank.SETTING, "computes below Python")
_LIBRARY_THREADS = Topic("settings", Rank.SETTING, "decides bits of what NumPy and SciPy compute: sums are split")
_PYTHON = Topic("platform", Rank.PYTHON, "another interpreter")
_ENCODING = Topic("platform", Rank.PYTHON, "decides how text is read and sorted")
_PLATFORM = Topic("platform", Rank.PLATFORM, "mathematical functions of the C library differ in their last bits")
_VARIABLE = Topic("settings", Rank.PACKAGE, "an environment variable")
_NO_INPUT = re.compile(
    r"(?:SLURM|PBS|LSB|SGE|CONDA|PYENV|PIXI|APPTAINER|SINGULARITY|TPU|COLAB)_.*|VIRTUAL_ENV.*|MASTER_.*|.*_HOME|TZ|"
    r"PYTHON(?:HASHSEED|PATH|STARTUP|UNBUFFERED|DONTWRITEBYTECODE|WARNINGS|FAULTHANDLER|BREAKPOINT|PYCACHEPREFIX|HOME)|"
    r"TF_CPP_.*|TF2_BEHAVIOR|KMP_(?:DUPLICATE_LIB_OK|INIT_AT_FORK)|TOKENIZERS_PARALLELISM"
)
"""Variables that name a job or a place, say what is printed, or are set by libraries themselves; PYTHONHASHSEED is told
among what decides bits."""
_KERAS = (
    "floatx",
    "epsilon",
    "image_data_format",
    "nnx",
    "flash_attention",
    "maximal_epochs",
    "maximal_steps_per_epoch",
)
_TENSORFLOW = (
    "executing_eagerly", "functions_run_eagerly", "synchronous_execution", "device_policy", "optimizer_options",
)  # fmt: skip


def causes_in_system(before: SystemRecord, after: SystemRecord) -> Found:
    """The processor's flags one by one, everything else by value; the host's name where the hardware differs."""
    found = [*_flags(before, after), *_libraries(before, after), *differing(RECORD, _facts(before), _facts(after))]
    yield from found
    names = before.machine.host_name, after.machine.host_name
    if names[0] != names[1] and any(isinstance(each, Cause) and each.kind == "hardware" for each in found):
        why = "another machine; the differences of its hardware are above"
        yield Cause("hardware", "host", *names, Rank.UNRELATED, why, f"{RECORD}#/machine/host_name")


def _flags(before: SystemRecord, after: SystemRecord) -> Found:
    """Only those that one of the processors lacks."""
    old, new = known(before.processor.flags), known(after.processor.flags)
    if old is None or new is None or set(old) == set(new):
        return
    gone, come = sorted(set(old) - set(new)), sorted(set(new) - set(old))
    texts = [" ".join(names) if names else None for names in (gone, come)]
    why = "decides bits: kernels are chosen by the instruction sets of the processor; listed are those only one has"
    yield Cause("hardware", "CPU flags", texts[0], texts[1], Rank.HARDWARE, why, f"{RECORD}#/processor/flags")


def _facts(record: SystemRecord) -> Facts:
    yield from _of_framework(record)
    yield from _of_processor(record)
    yield from _of_gpus(record)
    yield from _of_python(record)
    yield from _of_platform(record)
    for name, value in record.environment.items():
        if not _NO_INPUT.fullmatch(name):
            yield fact(_VARIABLE, name, value, "environment", name)


def _of_processor(record: SystemRecord) -> Facts:
    part = record.processor
    yield fact(_PROCESSOR, "architecture", record.machine.architecture, "machine", "architecture")
    for name in ("vendor", "model", "family_model_stepping"):
        yield fact(_PROCESSOR, f"processor {name.replace('_', ' ')}", getattr(part, name), "processor", name)
    cores = _PROCESSOR.about("the number of threads follows from it where none is set")
    yield fact(cores, "processor physical cores", part.physical_cores, "processor", "physical_cores")
    limit = cores.about("how much of the processor the container may use")
    yield fact(limit, "core limit", part.container_core_limit, "processor", "container_core_limit")
    microcode = Topic("hardware", Rank.PLATFORM, "hardly matters")
    yield fact(microcode, "microcode", part.microcode, "processor", "microcode")


def _uses_gpus(record: SystemRecord) -> bool:
    framework = known(record.framework)
    backends = (framework.tensorflow, framework.jax, framework.torch) if framework is not None else ()
    devices = [known(part.devices) or () for part in backends if known(part) is not None]
    return any(device.type.upper() not in ("CPU", "XLA_CPU") for found in devices for device in found)


def _of_gpus(record: SystemRecord) -> Facts:
    gpus = known(record.gpus)
    if gpus is None or not _uses_gpus(record):
        return  # what is not used cannot matter
    for place, gpu in enumerate(gpus.devices):
        yield from _of_gpu(gpu, place)
    for name in ("driver_version", "cuda_driver_version"):
        yield fact(_DRIVER, f"GPU {name.replace('_', ' ')}", getattr(gpus, name), "gpus", name)


def _of_gpu(gpu: GpuPart, place: int) -> Facts:
    yield fact(_GPU, f"GPU {place}", gpu.name, "gpus", "devices", place, "name")
    for name in ("compute_capability", "multi_instance", "error_correction"):
        title = f"GPU {place} {name.replace('_', ' ')}"
        yield fact(_GPU, title, getattr(gpu, name), "gpus", "devices", place, name)


def _of_framework(record: SystemRecord) -> Facts:
    part = known(record.framework)
    if part is None:
        return
    backend = Topic("packages", Rank.NUMERIC_PACKAGE, "another backend computes everything")
    yield fact(backend, "backend", part.backend, "framework", "backend")
    for name in _KERAS:
        yield fact(_SETTING, f"keras {name.replace('_', ' ')}", getattr(part.keras, name), "framework", "keras", name)
    tensorflow, jax, torch = known(part.tensorflow), known(part.jax), known(part.torch)
    if tensorflow is not None:
        for name in _TENSORFLOW:
            yield from flat(_SETTING, f"tensorflow {name}", getattr(tensorflow, name), "framework", "tensorflow", name)
        for name in ("git_version", "build"):
            yield from flat(_BUILD, f"tensorflow {name}", getattr(tensorflow, name), "framework", "tensorflow", name)
    if jax is not None:
        yield from flat(_SETTING, "jax", jax.configuration, "framework", "jax", "configuration")
    if torch is not None:
        yield from flat(_SETTING, "torch", torch.flags, "framework", "torch", "flags")
        yield fact(_BUILD, "torch build", torch.build, "framework", "torch", "build")


def _libraries(before: SystemRecord, after: SystemRecord) -> Found:
    """Those that both had loaded: which ones else are, and in which further versions, depends on what the program had
    imported by then."""
    old, new = _loaded(before), _loaded(after)
    for name in merged(old, new):
        for topic, subject, place in ((_LIBRARY, "library {}", 0), (_LIBRARY_THREADS, "threads of {}", 1)):
            values = old.get(name, ((), ()))[place], new.get(name, ((), ()))[place]
            if values[0] and values[1] and not set(values[0]) & set(values[1]):
                texts = [", ".join(each) for each in values]
                where = f"{RECORD}#/numeric_libraries/loaded"
                yield Cause(topic.kind, subject.format(name), texts[0], texts[1], topic.rank, topic.why, where)


def _loaded(record: SystemRecord) -> dict[str, tuple[list[str], list[str]]]:
    """By name: versions and numbers of threads."""
    part = known(record.numeric_libraries)
    found: dict[str, tuple[set[str], set[str]]] = {}
    for library in (known(part.loaded) or ()) if part is not None else ():
        versions, threads = found.setdefault(library.name, (set(), set()))
        versions |= {known(library.version)} if known(library.version) else set()
        threads |= {str(library.threads)} if library.threads is not None else set()
    return {name: (sorted(versions), sorted(threads)) for name, (versions, threads) in found.items()}


def _of_python(record: SystemRecord) -> Facts:
    part = record.python
    yield fact(_PYTHON, "Python", f"{part.implementation} {part.version}", "python", "version")
    for name in ("byte_order", "global_interpreter_lock"):
        yield fact(_PYTHON, name.replace("_", " "), getattr(part, name), "python", name)
    for name in ("text_encoding", "locale"):
        yield fact(_ENCODING, name.replace("_", " "), getattr(part, name), "python", name)
    customized = _PYTHON.about("modules that ran before the program, unasked")
    yield fact(customized, "customized by", part.customized_by or None, "python", "customized_by")


def _of_platform(record: SystemRecord) -> Facts:
    part = record.operating_system
    yield fact(_PLATFORM, "C library", part.libc, "operating_system", "libc")
    rest = Topic("platform", Rank.PLATFORM, "hardly matters where packages and hardware are the same")
    for name in ("system", "release", "distribution"):
        title = {"system": "operating system", "release": "kernel"}.get(name, name)
        yield fact(rest, title, getattr(part, name), "operating_system", name)
    container = record.machine.container
    image = None if container is None else known(container.image) or known(container.image_id)
    yield fact(rest, "container image", image, "machine", "container", "image")

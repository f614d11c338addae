"""What is left that can make a repetition of a training differ, in sentences that say what to do."""

from __future__ import annotations

import keras

from archiver.records.base import Unavailable
from archiver.records.determinism import DeterminismPart
from archiver.training.capture import FitCall
from archiver.training.datasets import data_kind
from archiver.training.tf_data import order_of_tf_data

_HASH_SEED = (
    "PYTHONHASHSEED is not set: sets of text have another order in each process. This matters where such an order "
    "reaches the data or the model. Start Python with PYTHONHASHSEED=0."
)
_NOT_SEEDED = (
    "Nothing was seeded: initial weights, the order of the samples, dropout and augmentation differ each time. Call "
    "archiver.seed(...) before the model is made."
)
_BACKEND_SEEDED = (
    "Only TensorFlow was seeded: Keras draws initial weights and the seeds of dropout and augmentation from Python's "
    "generator. Call archiver.seed(...) before the model is made."
)
_ON_ACCELERATORS = {
    "tensorflow": "Operations are not made deterministic: on GPUs many add in another order each time. Call "
    "archiver.seed(..., deterministic_ops=True).",
    "torch": "Operations are not made deterministic: on GPUs some add in another order each time. Call "
    "torch.use_deterministic_algorithms(True) and set CUBLAS_WORKSPACE_CONFIG=:4096:8 before the start.",
    "jax": "XLA may choose kernels for GPUs that add in another order each time. Set "
    "XLA_FLAGS=--xla_gpu_deterministic_ops=true before the start.",
}
_ON_THREADS = (
    "Operations are not made deterministic and run on {} threads: on CPUs a few of them (sums into segments, scattered "
    "updates) may add in another order each time. Call archiver.seed(..., deterministic_ops=True)."
)
_TIMED = "cuDNN chooses its algorithms by timing them. Set torch.backends.cudnn.benchmark = False."
_LINKED = "Several devices add their gradients in an order that depends on how they are linked."
_CORES = (
    "On another machine: the number of threads follows the usable cores, here {}; with another number, or another "
    "processor, sums may differ in their last bits. Set the threads, and compare on equal machines."
)
_WORKERS = (
    "The data set is read by {} workers: if it draws random numbers, who draws which is left to chance. Draw from a "
    "generator that is seeded by the index of the batch, or set workers=1."
)
_OPAQUE = "The data come from an object that cannot be looked into: their order is as it makes it."


def sources_of_variation(part: DeterminismPart, call: FitCall) -> tuple[str, ...]:
    """One sentence per source that can be seen; what cannot be seen (random numbers of the user's own) is not named.

    Not among them: Keras on TensorFlow, once seeded, shuffles arrays by one permutation in every epoch; it repeats.
    """
    found = [*_of_seeds(part), *_of_devices(part), *_of_data(call.resolved.get("x", call.given.get("x")), part)]
    if part.seeds.python_hash == "random":
        found.append(_HASH_SEED)
    return tuple(found)


def _of_seeds(part: DeterminismPart) -> list[str]:
    if isinstance(part.seeds.keras, int):
        return []
    on_tensorflow = keras.backend.backend() == "tensorflow"
    return [_BACKEND_SEEDED if on_tensorflow and isinstance(part.seeds.tensorflow, int) else _NOT_SEEDED]


def _of_devices(part: DeterminismPart) -> list[str]:
    backend = keras.backend.backend()
    devices = {} if isinstance(part.devices, Unavailable) else part.devices
    accelerators = sum(count for name, count in devices.items() if name != "CPU")
    found = []
    if accelerators and not _is_deterministic(part):
        found.append(_ON_ACCELERATORS[backend])
    elif backend == "tensorflow" and not _is_deterministic(part) and _threads(part) > 1:
        found.append(_ON_THREADS.format(_threads(part)))
    if accelerators and part.backend_flags.get("backends.cudnn.benchmark") is True:
        found.append(_TIMED)
    if accelerators > 1:
        found.append(_LINKED)
    if backend != "tensorflow" or part.threads.intra_op == 0:
        found.append(_CORES.format(part.threads.usable_cores))
    return found


def _is_deterministic(part: DeterminismPart) -> bool:
    if keras.backend.backend() == "jax":
        return "xla_gpu_deterministic_ops=true" in (part.environment.get("XLA_FLAGS") or "")
    return part.op_determinism is True


def _threads(part: DeterminismPart) -> int:
    threads = part.threads.intra_op_resolved
    return threads if isinstance(threads, int) else 1


def _of_data(x: object, part: DeterminismPart) -> list[str]:
    kind = data_kind(x)
    if kind == "tf_data":
        return order_of_tf_data(x, is_deterministic=part.op_determinism is True)
    workers = getattr(x, "workers", 1)
    if kind == "pydataset" and isinstance(workers, int) and workers > 1:
        return [_WORKERS.format(workers)]
    return [_OPAQUE] if kind in ("generator", "other") and x is not None else []

"""The configuration of the training in words: a table with a column per call of `fit`, and where the time went."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archiver.report.markdown import (
    Safe,
    format_bytes,
    format_number,
    format_seconds,
    in_words,
    markdown_text,
    short_name,
)
from archiver.report.tables import Table, made
from archiver.report.values import is_finite, known

MAXIMAL_PHASES = 4
"""Columns of the table: the last ones."""
_MAXIMAL_TEXT = 160
_OUR_CALLBACKS = {"History", "ProgbarLogger", "RunArchiver"}


def training_table(records: dict[str, Any]) -> Table:
    """A row per setting that was made, a column per phase."""
    train, optimizers = records["train_config"], records["optimizer_config"]
    phases = list(train.phases) if train is not None else []
    made_optimizers = {part.phase: part for part in (optimizers.phases if optimizers is not None else ())}
    shown = phases[-MAXIMAL_PHASES:]
    rows = []
    for title, describe in _SETTINGS.items():
        cells = [Safe(describe(phase, made_optimizers.get(phase.phase))) for phase in shown]
        if any(cells):
            rows.append((title, *cells))
    heads = ("",) if len(phases) <= 1 else tuple(f"phase {phase.phase + 1}" for phase in shown)
    return made(("", *heads), "l" * (len(shown) + 1), rows if shown else ())


def _optimizer(_phase: Any, part: Any) -> str:
    if part is None or part.class_name is None:
        return ""
    words = [short_name(part.class_name)]
    clipping = known(part.gradient_clipping)
    for name in ("clipnorm", "clipvalue", "global_clipnorm"):
        value = getattr(clipping, name, None)
        words += [f"{name} {format_number(value)}"] if value is not None else []
    decay = known(part.weight_decay)
    words += [f"weight decay {format_number(decay)}"] if decay else []
    steps = known(part.gradient_accumulation_steps)
    words += [f"gradients of {steps} steps averaged"] if steps else []
    words += ["moving average of the weights"] if known(part.moving_average) is not None else []
    return markdown_text(", ".join(words))


def _learning_rate(_phase: Any, part: Any) -> str:
    rate, schedule = known(part.learning_rate) if part is not None else None, known(part.schedule) if part else None
    text = str(format_number(rate)) if rate is not None else ""
    if schedule is None:
        return text
    config = schedule.config if isinstance(schedule.config, dict) else {}
    values = [f"{key} {format_number(value)}" for key, value in config.items() if is_finite(value)]
    return (
        f"{text} at first; {markdown_text(short_name(schedule.class_name) + ': ' + ', '.join(values), _MAXIMAL_TEXT)}"
    )


def _loss(phase: Any, _part: Any) -> str:
    names = []
    for loss in known(phase.losses, ()):
        config = loss.config if isinstance(loss.config, dict) else {}
        wrapped = config.get("fn")
        function = wrapped.get("config") if isinstance(wrapped, dict) else None
        name = function if isinstance(function, str) else config.get("name") or short_name(loss.class_name)
        weight = known(loss.weight)
        output = f"{markdown_text(loss.output, 40)}: " if len(known(phase.losses, ())) > 1 else ""
        names.append(f"{output}{markdown_text(name, 60)}" + (f" (weight {format_number(weight)})" if weight else ""))
    return ", ".join(names) or (markdown_text(in_words(phase.loss), _MAXIMAL_TEXT) if phase.loss else "")


def _batches(phase: Any, _part: Any) -> str:
    size, steps = known(phase.batch_size), known(phase.steps_per_epoch)
    text = format_number(size) if size is not None else "as the data set has it"
    return f"{text}; {format_number(steps)} steps per epoch" if steps is not None else text


def _epochs(phase: Any, _part: Any) -> str:
    first, last = known(phase.initial_epoch, 0), known(phase.epochs)
    if last is None:
        return ""
    return f"up to {last:,}" + (f", from {first + 1:,} on" if first else "")


def _validation(phase: Any, _part: Any) -> str:
    part = known(phase.validation)
    if part is None or part.source == "none":
        return "none" if part is not None else ""
    share = f"{format_number(100 * part.split)} % of the training data" if part.split is not None else "a split"
    return {"validation_data": "data of its own", "validation_split": share}[part.source]


def _weights(phase: Any, _part: Any) -> str:
    words = ["sample weights"] if known(phase.sample_weight_given) is True else []
    words += [f"class weights {in_words(phase.class_weight)}"] if phase.class_weight else []
    return markdown_text(", ".join(words), _MAXIMAL_TEXT)


def _callbacks(phase: Any, _part: Any) -> str:
    return Safe(
        ", ".join(_callback(part) for part in phase.callbacks if short_name(part.class_name) not in _OUR_CALLBACKS)
    )


def _callback(part: Any) -> str:
    arguments = part.arguments if isinstance(part.arguments, dict) else {}
    wanted = ("monitor", "patience", "factor", "restore_best_weights", "min_lr")
    settings = [f"{key} {arguments[key]}" for key in wanted if isinstance(arguments.get(key), str | int | float | bool)]
    name = markdown_text(short_name(part.class_name), 60)
    return f"{name} ({markdown_text(', '.join(settings), 120)})" if settings else str(name)


def _precision(phase: Any, _part: Any) -> str:
    policy = known(phase.dtype_policies.model)
    compiled = ", compiled by XLA" if known(phase.jit_compile.resolved) is True else ""
    return f"{markdown_text(policy, 60)}{compiled}" if policy else ""


def _seed(phase: Any, _part: Any) -> str:
    seed = known(phase.seed)
    return str(seed.seed) if seed is not None else "not set by archiver"


def _devices(phase: Any, _part: Any) -> str:
    part = known(phase.distribution)
    replicas = known(part.replicas) if part is not None else None
    return f"{markdown_text(short_name(part.class_name), 60)}, {replicas} replicas" if replicas else ""


_SETTINGS: dict[str, Callable[[Any, Any], str]] = {
    "Optimizer": _optimizer,
    "Learning rate": _learning_rate,
    "Loss": _loss,
    "Batch size": _batches,
    "Epochs": _epochs,
    "Validation": _validation,
    "Weights": _weights,
    "Callbacks": _callbacks,
    "Precision": _precision,
    "Devices": _devices,
    "Seed": _seed,
}
"""By title: how a setting of one phase is told; an empty text where there is nothing to tell."""

_PARTS = (
    ("preparation_seconds", "preparation"),
    ("collecting_seconds", "describing the run"),
    ("train_seconds", "training steps"),
    ("validation_seconds", "validation"),
    ("other_epoch_seconds", "the rest of the epochs"),
    ("saving_seconds", "saving"),
)


def timing_sentence(results: Any) -> Safe:
    """Where the time went, and the speed; empty where it is not known."""
    if results is None:
        return Safe("")
    durations = results.timing.whole_run
    parts = [(known(getattr(durations, name)), title) for name, title in _PARTS]
    texts = [f"{title} {format_seconds(seconds)}" for seconds, title in parts if seconds and seconds >= 0.01]  # noqa: PLR2004
    text = f"{format_seconds(durations.total_seconds)} in all: {', '.join(texts)}." if texts else ""
    speed = known(durations.samples_per_second)
    return Safe(text + (f" {format_number(round(speed))} samples a second in training." if text and speed else ""))


def machine_sentence(system: Any) -> Safe:
    """Processor, memory, GPUs, operating system, Python, Keras: one sentence."""
    if system is None:
        return Safe("")
    processor, memory, gpus = system.processor, known(system.memory), known(system.gpus)
    model, cores = known(processor.model), known(processor.usable_cores)
    parts = [f"{markdown_text(model or 'unknown processor', 80)}" + (f" ({cores} usable cores)" if cores else "")]
    parts += [f"{format_bytes(memory.total_bytes)} of memory"] if memory is not None else []
    parts += [markdown_text(device.name, 60) for device in (known(gpus.devices, ()) if gpus is not None else ())]
    parts.append(markdown_text(known(system.operating_system.distribution) or system.operating_system.system, 60))
    parts.append(f"Python {markdown_text(system.python.version.split()[0], 20)}")
    framework = known(system.framework)
    if framework is not None:
        parts.append(f"Keras {markdown_text(framework.keras_version, 20)} on {_backend(framework)}")
    return Safe(", ".join(parts) + ".")


def _backend(framework: Any) -> Safe:
    version = framework.loaded.get(framework.backend)
    return markdown_text(f"{framework.backend} {version}" if version else framework.backend, 40)

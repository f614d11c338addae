"""What differs in the configuration of the training: arguments, loss, optimizer, callbacks, seeds, the command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from archiver.comparison.determinism_causes import causes_in_determinism
from archiver.comparison.differences import Cause, Found, Gap, Rank
from archiver.comparison.facts import Facts, Topic, differing, fact, flat, known, reason_of
from archiver.records.run import RunRecord
from archiver.records.training import CallbackPart, OptimizerConfig, PhaseConfig, PhaseOptimizer, TrainConfig

_CONFIGURATION = Topic("configuration", Rank.CONFIGURATION)
_FOLLOWING = Topic("configuration", Rank.FOLLOWING, "follows from the data or the rest of the configuration")
_MEASURED = Topic("configuration", Rank.MEASUREMENT, "changes what is measured, not what is trained")
_SETTING = Topic("settings", Rank.SETTING)
_COMMAND = Topic("configuration", Rank.COMMAND, "what the program was told")
_WEIGHTS = Topic("origin", Rank.ORIGIN)

_ARGUMENTS: dict[str, Topic] = {
    "batch_size": _CONFIGURATION,
    "epochs": _CONFIGURATION,
    "initial_epoch": _CONFIGURATION,
    "shuffle": _CONFIGURATION.about("decides the order of the samples"),
    "class_weight": _CONFIGURATION,
    "sample_weight_given": _CONFIGURATION,
    "loss": _CONFIGURATION,
    "loss_weights": _CONFIGURATION,
    "auto_scale_loss": _CONFIGURATION,
    "steps_per_epoch": _FOLLOWING,
    "run_eagerly": _SETTING.about("decides bits: operations are fused or not"),
    "steps_per_execution": _SETTING,
    "metrics": _MEASURED,
    "weighted_metrics": _MEASURED,
}
_OF_FILES = frozenset({"filepath", "filename", "log_dir", "backup_dir", "verbose", "root", "path", "name"})
"""Arguments of callbacks that say where and how much is written."""

P = TypeVar("P", PhaseConfig, PhaseOptimizer)


def causes_in_training(before: TrainConfig, after: TrainConfig) -> Found:
    """Phase by phase, as far as both have it."""
    counts = [(fact(_CONFIGURATION, "phases", len(record.phases), "phases"),) for record in (before, after)]
    yield from differing("train_config", *counts)
    yield from _by_phase("train_config", (before.phases, after.phases), _of_phase)
    seen: set[tuple[str, str]] = set()
    for place, parts in enumerate(zip(before.phases, after.phases, strict=False)):
        for found in causes_in_determinism(*parts, place):
            # What is the same in all calls of `fit` is told once.
            mark = (found.subject, found.text) if isinstance(found, Cause) else (found.what, found.reason)
            if mark not in seen:
                seen.add(mark)
                yield found


def _by_phase(record: str, phases: tuple[Sequence[P], Sequence[P]], facts: Callable[[P, int], Facts]) -> Found:
    several = max(map(len, phases)) > 1
    for place, parts in enumerate(zip(*phases, strict=False)):
        for found in differing(record, *(facts(part, place) for part in parts)):
            yield _named(found, f"phase {place + 1}: " if several else "")


def _named(found: Cause | Gap, prefix: str) -> Cause | Gap:
    if isinstance(found, Gap):
        return Gap(found.side, prefix + found.what, found.reason)
    return Cause(**{**vars(found), "subject": prefix + found.subject})


def _of_phase(phase: PhaseConfig, place: int) -> Facts:
    at = ("phases", place)
    yield from flat(_CONFIGURATION, "hyperparameters", phase.hyperparameters, *at, "hyperparameters")
    for name, topic in _ARGUMENTS.items():
        yield from flat(topic, name, getattr(phase, name), *at, name)
    yield from flat(_CONFIGURATION, "distribution", phase.distribution, *at, "distribution")
    for callback in _numbered(phase.callbacks):
        yield from _of_callback(*callback, at)
    validation = known(phase.validation)
    for name, value in validation.model_dump(mode="json").items() if validation is not None else ():
        topic = _FOLLOWING if name in ("steps", "batch_size") else _CONFIGURATION
        yield from flat(topic, f"validation.{name}", value, *at, "validation", name)
    policies, bits = phase.dtype_policies, _SETTING.about("decides bits: the precision of all that is computed")
    yield fact(bits, "dtype policy", policies.model, *at, "dtype_policies", "model")
    compiled = _SETTING.about("decides bits: XLA fuses operations and adds in another order")
    yield fact(compiled, "XLA", phase.jit_compile.resolved, *at, "jit_compile", "resolved")


def _numbered(callbacks: Sequence[CallbackPart]) -> list[tuple[str, CallbackPart]]:
    """By short name, with a number from the second of a class on."""
    seen: Counter[str] = Counter()
    found = []
    for part in callbacks:
        name = part.class_name.rsplit(".", 1)[-1]
        seen[name] += 1
        found.append((f"{name} {seen[name]}" if seen[name] > 1 else name, part))
    return found


def _of_callback(name: str, part: CallbackPart, at: tuple[str | int, ...]) -> Facts:
    yield fact(_CONFIGURATION, f"callback {name}", part.class_name, *at, "callbacks")
    arguments = part.arguments if isinstance(part.arguments, dict) else {}
    for key, value in arguments.items():
        if key not in _OF_FILES:
            yield from flat(_CONFIGURATION, f"callback {name}.{key}", value, *at, "callbacks")


def causes_in_optimizer(before: OptimizerConfig, after: OptimizerConfig) -> Found:
    """Phase by phase: class and configuration, and the steps it had made before."""
    yield from _by_phase("optimizer_config", (before.phases, after.phases), _of_optimizer)


def _of_optimizer(phase: PhaseOptimizer, place: int) -> Facts:
    at = ("phases", place)
    yield fact(_CONFIGURATION, "optimizer", _short_class(phase.class_name), *at, "class_name")
    config = phase.config if isinstance(phase.config, dict) and reason_of(phase.config) is None else {}
    for key, value in config.items():
        if key != "name":
            yield from flat(_CONFIGURATION, f"optimizer.{key}", value, *at, "config", key)
    if not config:
        yield fact(_CONFIGURATION, "learning rate", phase.learning_rate, *at, "learning_rate")
    began = _WEIGHTS.about("training went on from an optimizer that had been used")
    yield fact(began, "steps made before", phase.iterations, *at, "iterations")


def _short_class(name: str | None) -> str | None:
    return name if name is None else name.rsplit(".", 1)[-1]


def causes_in_command(before: RunRecord, after: RunRecord) -> Found:
    """The arguments of the program. Its interpreter, its folder and the run's name cannot matter."""
    yield from differing("run", _of_command(before), _of_command(after))


def _of_command(record: RunRecord) -> Facts:
    command = known(record.command)
    if command is not None:
        yield fact(_COMMAND, "arguments", " ".join(command.arguments) or None, "command", "arguments")
        options = Topic("settings", Rank.PYTHON, "options of Python itself")
        yield fact(options, "interpreter options", " ".join(command.interpreter_options) or None, "command")

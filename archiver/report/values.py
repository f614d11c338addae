"""Small questions to records: is a value there, what are the classes called, what was a metric at an epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from archiver.records.base import Part
from archiver.records.results import Results
from archiver.records.scores import HeadlineScores
from archiver.records.training import History

TIMES = "\N{MULTIPLICATION SIGN}"

_Kind = TypeVar("_Kind")


def is_available(value: Any) -> bool:
    """Whether a field holds a value, not the reason why there is none."""
    return value is not None and not (isinstance(value, Part) and hasattr(value, "unavailable"))


def known(value: Any, otherwise: Any = None) -> Any:
    """The value, or `otherwise` where there is none."""
    return value if is_available(value) else otherwise


def is_finite(value: Any) -> bool:
    """Whether it is a number that is neither NaN nor infinite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def shape_text(shape: Any) -> str:
    """A sample's shape, without the axis of the samples: `8 x 8 x 1`, or `any`, where an axis is not fixed."""
    if not isinstance(shape, list | tuple) or not all(axis is None or isinstance(axis, int) for axis in shape):
        return ""
    return f" {TIMES} ".join("any" if axis is None else str(axis) for axis in shape[1:])


def single_shapes(shape: Any) -> dict[str, Any]:
    """By key or position (empty for the only one): the shapes in a model's `input_shape` or `output_shape`."""
    if isinstance(shape, Mapping):
        return {} if {"unavailable", "calls"} & set(shape) else dict(shape)
    if isinstance(shape, list | tuple) and shape and all(isinstance(item, list | tuple) for item in shape):
        return {str(index): item for index, item in enumerate(shape)}
    return {"": shape} if isinstance(shape, list | tuple) and shape else {}


def test_scores_of(results: Results | None) -> dict[str, HeadlineScores]:
    """The scores of the test data by output, those that could be computed."""
    test = known(results.test) if results is not None else None
    scores = known(test.scores, {}) if test is not None else {}
    return {name: score for name, score in scores.items() if is_available(score)}


test_scores_of.__test__ = False  # type: ignore[attr-defined]  # pytest shall not take it for a test


def value_at(history: History | None, metric: str, phase: int, epoch: int) -> float | None:
    """What a metric was in an epoch; None where it has no finite value there."""
    for part in history.phases if history is not None else ():
        if part.phase == phase and epoch in part.epochs and metric in part.metrics:
            value = part.metrics[metric][part.epochs.index(epoch)]
            return value if is_finite(value) else None
    return None


def split_title(name: str) -> str:
    """`train_phase_1`, as records name the data of the second call of `fit`, for a reader: `train of phase 2`."""
    from archiver.collect.splits import role_and_phase

    role, phase = role_and_phase(name)
    return f"{role} of phase {phase + 1}" if phase else role


def outputs_of_kind(records: dict[str, Any], kind: type[_Kind]) -> list[tuple[str, _Kind]]:
    """The outputs with tables of this kind: (Keras' name, tables)."""
    scores = records["test_scores"]
    outputs = scores.outputs if scores is not None else {}
    return [(name, part) for name, part in outputs.items() if isinstance(part, kind)]


def numbered(figure: str, place: int) -> str:
    """The name of a figure of a model's first, second, ... output: `calibration`, `calibration_2`."""
    return figure if place == 0 else f"{figure}_{place + 1}"


def planned_epochs(train_config: Any) -> int | None:
    """How many epochs all phases asked for; None where a phase does not say."""
    if train_config is None:
        return None
    asked = [(known(phase.epochs), known(phase.initial_epoch, 0)) for phase in train_config.phases]
    return None if any(last is None for last, _ in asked) else sum(last - first for last, first in asked)


def class_name(index: Any, names: Any) -> str:
    """The name of a class; its number where there is none."""
    text = str(index)
    number = int(text) if text.isdecimal() else -1
    return str(names[number]) if names and 0 <= number < len(names) else text

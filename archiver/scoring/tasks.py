"""What an output is: decided from the loss, the activation, the targets and the predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.errors import DataError
from archiver.records.scores import Task
from archiver.scoring.hints import BINARY_LOSSES, CATEGORICAL_LOSSES, HINGE_LOSSES, Hints

Array = NDArray[Any]

ROW_SUM_TOLERANCE = 1e-3
_BLOCK_ELEMENTS = 1 << 22


def detect_task(targets: Array, predictions: Array, hints: Hints) -> tuple[Task, tuple[str, ...]]:
    """The task of an output, and what it was decided from.

    Args:
        targets: as given; the first axis counts the samples.
        predictions: of the model; likewise.
        hints: what the compiled model says. `hints.task`, where it is given, is checked, not detected.

    Raises:
        DataError: the targets do not fit the task that was given.
    """
    targets = targets.astype(np.float64) if targets.dtype.kind not in "biuf" else targets
    if hints.task is not None:
        _check_given(hints.task, targets, predictions)
        return hints.task, ()
    kind = targets_kind(targets, predictions)
    task = _multi_column(kind, predictions, hints) if _width(predictions) > 1 else _one_column(kind, predictions, hints)
    return task, (
        f"loss: {hints.loss or 'unknown'}",
        f"activation of the output: {hints.activation or 'unknown'}",
        f"targets: {kind}, shape {targets.shape}",
        f"predictions: {_describe(predictions)}",
    )


def targets_kind(targets: Array, predictions: Array) -> str:
    """What the targets look like beside the predictions, in words.

    `class numbers` (no axis of classes), `one-hot rows`, `0 and 1`, `-1 and 1`, `rows that add up to 1`, `numbers`, or
    `of another shape than the predictions`.
    """
    if _width(predictions) > 1 and are_class_numbers(targets, predictions):
        return "class numbers"
    if not _fit(targets, predictions):
        return "of another shape than the predictions"
    if _all_rows(targets, lambda rows: (rows == 0) | (rows == 1)):
        is_one_hot = _width(predictions) > 1 and _all_rows(targets, lambda rows: rows.sum(axis=-1) == 1)
        return "one-hot rows" if is_one_hot else "0 and 1"
    if _all_rows(targets, lambda rows: (rows == -1) | (rows == 1)):
        return "-1 and 1"
    return "rows that add up to 1" if _width(predictions) > 1 and are_distributions(targets) else "numbers"


def _multi_column(kind: str, predictions: Array, hints: Hints) -> Task:
    if kind == "class numbers":
        return "multi_class"
    is_softmax = hints.activation == "softmax" or hints.loss in CATEGORICAL_LOSSES
    looks_like_classes = not hints.is_loss_known and are_distributions(predictions)
    if kind == "one-hot rows" and (is_softmax or looks_like_classes or hints.loss in BINARY_LOSSES):
        return "multi_class"
    if kind == "rows that add up to 1" and hints.loss in CATEGORICAL_LOSSES:
        return "multi_class"
    is_sigmoid = hints.activation in ("sigmoid", "hard_sigmoid") or hints.loss in BINARY_LOSSES
    looks_like_labels = not hints.is_loss_known and are_within_unit_interval(predictions)
    if kind in ("0 and 1", "one-hot rows") and (is_sigmoid or looks_like_labels):
        return "multi_label"
    return "regression"


def _one_column(kind: str, predictions: Array, hints: Hints) -> Task:
    if kind == "-1 and 1":
        return "binary" if hints.loss in HINGE_LOSSES else "regression"
    is_sigmoid = hints.activation in ("sigmoid", "hard_sigmoid") or hints.loss in BINARY_LOSSES
    looks_like_one = not hints.is_loss_known and are_within_unit_interval(predictions)
    return "binary" if kind == "0 and 1" and (is_sigmoid or looks_like_one) else "regression"


def are_class_numbers(targets: Array, predictions: Array) -> bool:
    """Whether the targets are whole numbers, one where the predictions have a row of columns."""
    if targets.shape not in (predictions.shape[:-1], (*predictions.shape[:-1], 1)):
        return False
    return targets.dtype.kind in "iub" or bool(np.all(np.isfinite(targets)) and np.all(targets == np.floor(targets)))


def are_distributions(rows: Array) -> bool:
    """Whether all rows (last axis) are at least 0 and add up to 1."""
    tolerance = max(ROW_SUM_TOLERANCE, 8 * _precision(rows.dtype))
    return _all_rows(rows, lambda block: block >= 0) and _all_rows(
        rows, lambda block: np.abs(block.sum(axis=-1, dtype=np.float64) - 1) <= tolerance
    )


def are_within_unit_interval(values: Array) -> bool:
    """Whether all values lie in [0, 1]."""
    return _all_rows(values, lambda block: (block >= 0) & (block <= 1))


def _all_rows(rows: Array, holds: Callable[[Array], Any]) -> bool:
    """Whether it holds for all values, looked at in blocks."""
    return all(bool(np.all(holds(block))) for block in row_blocks(rows))


def _precision(dtype: np.dtype[Any]) -> float:
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0


def row_blocks(rows: Array) -> list[Array]:
    """The rows in blocks of a bounded size; views."""
    count = max(1, _BLOCK_ELEMENTS // max(1, rows[:1].size))
    return [rows[start : start + count] for start in range(0, len(rows), count)]


def _width(predictions: Array) -> int:
    return int(predictions.shape[-1]) if predictions.ndim > 1 else 1


def _fit(targets: Array, predictions: Array) -> bool:
    """Whether the shapes are equal, but for a last axis of length 1."""
    shapes = ((*targets.shape, 1), predictions.shape), (targets.shape, (*predictions.shape, 1))
    return targets.shape == predictions.shape or any(one == other for one, other in shapes)


def _describe(predictions: Array) -> str:
    if _width(predictions) > 1 and are_distributions(predictions):
        return f"rows that add up to 1, shape {predictions.shape}"
    inside = "in [0, 1]" if are_within_unit_interval(predictions) else "not all in [0, 1]"
    return f"{inside}, shape {predictions.shape}"


def _check_given(task: Task, targets: Array, predictions: Array) -> None:
    kind = targets_kind(targets, predictions)
    fitting = {
        "binary": ("0 and 1", "-1 and 1", "one-hot rows", "class numbers"),
        "multi_class": ("class numbers", "one-hot rows", "rows that add up to 1"),
        "multi_label": ("0 and 1", "one-hot rows"),
        "regression": ("0 and 1", "-1 and 1", "one-hot rows", "rows that add up to 1", "numbers"),
    }[task]
    width = _width(predictions)
    columns = "any number of"
    if kind == "class numbers" and task == "binary" and width != 2:  # noqa: PLR2004
        columns = "1 or 2"
    elif task == "multi_label" and width == 1:
        columns = "at least 2"
    if kind not in fitting or columns != "any number of":
        raise DataError(
            f"Received task={task!r} for targets that are {kind} (shape {targets.shape}) and predictions of the shape "
            f"{predictions.shape}. Expected {columns} columns, and targets that are {' or '.join(fitting)}."
        )

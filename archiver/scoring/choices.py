"""Predictions of one class for each element, made from columns of outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.records.scores import OutputKind
from archiver.scoring.elements import Elements, NotScoredError, check_finite, elements_of
from archiver.scoring.hints import Hints
from archiver.scoring.probabilities import kind_of_columns, kind_of_rows, read_rows, sigmoid, softmax
from archiver.scoring.ranking import is_too_large
from archiver.scoring.tasks import targets_kind

Array = NDArray[Any]


@dataclass(frozen=True)
class Choices:
    """What is scored, by element: arrays of m, elements left out being gone."""

    elements: Elements
    outputs_are: OutputKind
    evidence: tuple[str, ...]
    threshold: float | None
    class_count: int
    labels: Array
    """True classes, int64."""
    predicted: Array
    """Predicted classes, int64."""
    confidence: Array | None
    """Probability of what was predicted; None where the outputs are no probabilities."""
    true_probability: Array | None
    """Probability of what was true; likewise."""
    dtype: np.dtype[Any]
    """Of the probabilities."""
    rank: Array | None
    """How many classes come before the true one; None for `binary`."""
    ranked: Array | None
    """Values by which a class is ranked against the rest: m by K, or m by 1 for class 1 of `binary`; None: too many."""


def binary_choices(targets: Array, predictions: Array, weights: Array | None, hints: Hints) -> Choices:
    """One column against 0 and 1 (or -1 and 1), or two columns of which the second says 1.

    Raises:
        NotScoredError: predictions are not finite, or the weights or the targets cannot be used.
    """
    has_two_columns = predictions.ndim > 1 and predictions.shape[-1] == 2  # noqa: PLR2004
    if has_two_columns and targets_kind(targets, predictions) in ("class numbers", "one-hot rows"):
        kind, why = kind_of_rows(predictions, hints)
        shape, targets = predictions.shape[:-1], _class_numbers(targets, predictions)
        # the sigmoid of the difference is the softmax of the two
        values = predictions[..., 1] if kind == "probabilities" else predictions[..., 1] - predictions[..., 0]
    else:
        kind, why = kind_of_columns(predictions, hints)
        shape, values = predictions.shape, predictions
        shape = shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape
    if targets.max() > 1:
        raise NotScoredError(f"class numbers up to {targets.max()}, for 2 classes")
    elements = elements_of(shape, weights)
    raw = elements.keep(values.reshape(-1))
    column = sigmoid(raw) if kind == "logits" else raw
    check_finite(column, "predictions")
    labels = elements.keep(targets.reshape(-1) > 0).astype(np.int64)
    threshold = 0.0 if kind == "decision_values" else hints.threshold
    predicted = (column > threshold).astype(np.int64)
    return Choices(
        elements=elements,
        outputs_are=kind,
        evidence=(f"outputs: {kind}, since {why}",),
        threshold=threshold,
        class_count=2,
        labels=labels,
        predicted=predicted,
        confidence=_of_chosen(column, predicted) if kind != "decision_values" else None,
        true_probability=_of_chosen(column, labels) if kind != "decision_values" else None,
        dtype=column.dtype,
        rank=None,
        ranked=column[:, np.newaxis],
    )


def _of_chosen(column: Array, chosen: Array) -> Array:
    column = column.astype(np.float64)
    return np.where(chosen == 1, column, 1 - column)


def multi_class_choices(targets: Array, predictions: Array, weights: Array | None, hints: Hints) -> Choices:
    """One column per class against class numbers, one-hot rows, or rows of shares (the largest is the true one).

    Raises:
        NotScoredError: as for `binary_choices`; or some class numbers are those of no column.
    """
    kind, why = kind_of_rows(predictions, hints)
    count = predictions.shape[-1]
    all_labels = _class_numbers(targets, predictions)
    ignored = all_labels == hints.ignore_class if hints.ignore_class is not None else None
    elements = elements_of(predictions.shape[:-1], weights, ignored)
    labels = elements.keep(all_labels)
    if labels.min() < 0 or labels.max() >= count:
        raise NotScoredError(f"class numbers from {labels.min()} to {labels.max()}, for {count} columns")
    matrix = predictions.reshape(-1, count)
    rows = read_rows(matrix, np.clip(all_labels, 0, count - 1), are_logits=kind == "logits")
    confidence = elements.keep(rows.confidence)
    check_finite(confidence, "rows of predictions")
    has_probabilities = kind != "decision_values"
    return Choices(
        elements=elements,
        outputs_are=kind,
        evidence=(f"outputs: {kind}, since {why}", *_note_of_shares(targets, predictions)),
        threshold=None,
        class_count=count,
        labels=labels,
        predicted=elements.keep(rows.predicted),
        confidence=confidence if has_probabilities else None,
        true_probability=elements.keep(rows.true_value) if has_probabilities else None,
        dtype=np.dtype(np.float64) if kind == "logits" else predictions.dtype,
        rank=elements.keep(rows.rank),
        ranked=_ranked(elements, matrix, kind),
    )


def _class_numbers(targets: Array, predictions: Array) -> Array:
    numbers = targets.argmax(axis=-1) if targets.shape == predictions.shape else targets
    return numbers.reshape(-1).astype(np.int64)


def _note_of_shares(targets: Array, predictions: Array) -> tuple[str, ...]:
    if targets_kind(targets, predictions) != "rows that add up to 1":
        return ()
    return ("the class with the largest share in the targets is taken for the true one",)


def _ranked(elements: Elements, matrix: Array, kind: OutputKind) -> Array | None:
    if is_too_large(elements.count, matrix.shape[1]):
        return None
    kept = elements.keep(matrix)
    return softmax(kept) if kind == "logits" else kept

"""Predictions as probabilities, and what is needed of each row of them, in blocks: rows may have 10,000 columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.records.scores import OutputKind
from archiver.scoring.hints import CLASS_LOSSES, HINGE_LOSSES, Hints
from archiver.scoring.tasks import are_distributions, are_within_unit_interval, row_blocks

Array = NDArray[Any]


def kind_of_columns(values: Array, hints: Hints) -> tuple[OutputKind, str]:
    """What columns that are each on their own are (`binary`, `multi_label`), and why."""
    if hints.from_logits:
        return "logits", "the loss has from_logits=True"
    if hints.loss in HINGE_LOSSES:
        return "decision_values", "the loss is a hinge loss"
    if are_within_unit_interval(values):
        return "probabilities", "all values lie in [0, 1]"
    return _outside(hints)


def kind_of_rows(rows: Array, hints: Hints) -> tuple[OutputKind, str]:
    """What rows of one column per class are, and why."""
    if hints.activation == "softmax":
        return "probabilities", "the activation is softmax"
    if hints.from_logits:
        return "logits", "the loss has from_logits=True"
    if are_distributions(rows):
        return "probabilities", "all rows add up to 1"
    return _outside(hints)


def _outside(hints: Hints) -> tuple[OutputKind, str]:
    if hints.loss in CLASS_LOSSES or hints.activation not in (None, "linear"):
        return "decision_values", "they are no probabilities, and nothing says that they are logits"
    return "logits", "they are no probabilities, and come without an activation: taken for logits"


def sigmoid(values: Array) -> Array:
    """1 / (1 + exp(-v)), without overflow; float64."""
    values = values.astype(np.float64)
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1 / (1 + small), small / (1 + small))


def softmax(rows: Array) -> Array:
    """exp(z_i) / sum over j of exp(z_j), of each row; float64."""
    rows = rows.astype(np.float64)
    with np.errstate(invalid="ignore"):  # a row of infinities becomes NaN, which is reported
        powers = np.exp(rows - rows.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Rows:
    """What is kept of each of m rows; all of shape (m,)."""

    predicted: Array
    """The column with the highest value, the first of equal ones; int64."""
    confidence: Array
    """Its value, float64; NaN where the row holds a NaN."""
    true_value: Array
    """The value of the true class, float64."""
    rank: Array
    """How many columns come before the true class, int64; of equal ones the last comes first, as in scikit-learn."""


def read_rows(rows: Array, labels: Array, *, are_logits: bool) -> Rows:
    """Go through all rows once.

    Args:
        rows: m by K, any float type.
        labels: true classes, (m,), each at least 0 and below K.
        are_logits: make the rows probabilities first.
    """
    parts: list[tuple[Array, ...]] = []
    start = 0
    for block in row_blocks(rows):
        part = labels[start : start + len(block)]
        parts.append(_read_block(softmax(block) if are_logits else block, part))
        start += len(block)
    return Rows(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _read_block(block: Array, labels: Array) -> tuple[Array, ...]:
    true = np.take_along_axis(block, labels[:, np.newaxis], axis=1)
    is_later = np.arange(block.shape[1]) > labels[:, np.newaxis]
    rank = np.count_nonzero((block > true) | ((block == true) & is_later), axis=1)
    return block.argmax(axis=1), block.max(axis=1).astype(np.float64), true[:, 0].astype(np.float64), rank


def log_losses(true_values: Array, dtype: np.dtype[Any]) -> Array:
    """-ln(p) of the probability given to what was true, p clipped to [eps, 1 - eps], eps being that of `dtype`.

    The dtype is that of the probabilities, as in scikit-learn's `log_loss`.
    """
    precision = float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)
    return np.asarray(-np.log(np.clip(true_values, precision, 1 - precision)))

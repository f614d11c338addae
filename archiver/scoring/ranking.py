"""Scores of a ranking: the area under the ROC curve, and the average precision.

Equal to scikit-learn's `roc_auc_score` and `average_precision_score`, which take too long for 1,000 classes, and far
too long for 1,000 resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.records.base import Unavailable

Array = NDArray[Any]

MAXIMAL_RANKED = 10_000_000
"""Elements times classes; beyond it, no class is ranked against the rest."""
MAXIMAL_COLUMNS = 2_000
"""Classes; likewise."""


@dataclass(frozen=True)
class Order:
    """Elements from the highest value to the lowest; equal values form one group."""

    order: Array
    ends: Array
    """The last place of each group."""

    @classmethod
    def of(cls, values: Array) -> Order:
        """The order of m values without NaN."""
        order = np.argsort(-values, kind="stable")
        ranked = values[order]
        ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
        return cls(order, ends)


def areas(order: Order, positive: Array, weights: Array) -> Array:
    """The area under the ROC curve, once for each row of weights; NaN where one of the two classes has no weight.

    With TP and FP the weights of positives and negatives at or above each different value, from the highest on:

        AUC = sum over values of (FP - FP before) * (TP + TP before) / 2 / (TP of all * FP of all)

    Args:
        order: of the values.
        positive: (m,), bool.
        weights: b by m.

    Returns:
        (b,), float64.
    """
    true, false = _cumulated(order, positive, weights)
    area = (np.diff(false, prepend=0) * (true + _before(true)) / 2).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(area / (true[:, -1] * false[:, -1]))


def average_precisions(order: Order, positive: Array, weights: Array) -> Array:
    """Likewise the average precision; NaN where no positive has weight.

    AP = sum over values of (TP - TP before) / TP of all * TP / (TP + FP)
    """
    true, false = _cumulated(order, positive, weights)
    with np.errstate(invalid="ignore"):
        precision = np.where(true + false > 0, true / (true + false), 0)
        return np.asarray((np.diff(true, prepend=0) * precision).sum(axis=1) / true[:, -1])


def _cumulated(order: Order, positive: Array, weights: Array) -> tuple[Array, Array]:
    ranked, is_positive = weights[:, order.order], positive[order.order]
    true = np.cumsum(ranked * is_positive, axis=1)[:, order.ends]
    return true, np.cumsum(ranked, axis=1)[:, order.ends] - true


def _before(values: Array) -> Array:
    return np.concatenate([np.zeros((len(values), 1)), values[:, :-1]], axis=1)


def rank_columns(
    columns: Array, positives: Array, weights: Array | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """ROC AUC and average precision of each column.

    Args:
        columns: m by K values.
        positives: m by K, bool; or class numbers, (m,).
        weights: (m,), or None.
    """
    row = (np.ones(len(columns)) if weights is None else weights)[np.newaxis]
    found = []
    for index in range(columns.shape[1]):
        positive = positives[:, index] if positives.ndim > 1 else positives == index
        order = Order.of(columns[:, index])
        found.append((float(areas(order, positive, row)[0]), float(average_precisions(order, positive, row)[0])))
    return tuple(area for area, _ in found), tuple(precision for _, precision in found)


def is_too_large(elements: int, columns: int) -> bool:
    """Whether ranking every column would take too long."""
    return columns > MAXIMAL_COLUMNS or elements * columns > MAXIMAL_RANKED


Ranking = tuple[float, ...] | Unavailable
"""One value for each class or label."""


def ranking(columns: Array | None, positives: Array, weights: Array | None) -> tuple[Ranking, Ranking]:
    """`rank_columns`, or why it was not done; `columns` is None where they are too many."""
    if columns is not None:
        return rank_columns(columns, positives, weights)
    limits = f"more than {MAXIMAL_COLUMNS:,} classes, or more than {MAXIMAL_RANKED:,} predictions"
    return Unavailable(unavailable=f"not computed for {limits}"), Unavailable(unavailable=f"not computed for {limits}")


def mean_of_ranking(values: Ranking, otherwise: str) -> float | Unavailable:
    """The mean of those that are defined, or why there is none."""
    if isinstance(values, Unavailable):
        return values
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else Unavailable(unavailable=otherwise)

"""Scores as functions of how often each sample is drawn: what the bootstrap evaluates a thousand times."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.scoring.bootstrap import Statistic
from archiver.scoring.elements import Elements
from archiver.scoring.ranking import Order, areas

Array = NDArray[Any]

ROUNDING = np.finfo(np.float64).eps * 64
"""A variance below this share of the mean square is one of equal numbers, but for rounding."""


def means(elements: Elements, values: dict[str, Array]) -> Statistic:
    """The weighted means of some values of the elements, (m,) each."""
    names = list(values)
    sums = np.stack([elements.per_sample(each.astype(np.float64)) for each in values.values()], axis=1)
    weight = elements.per_sample(np.ones(elements.count))

    def statistic(counts: Array) -> dict[str, Array]:
        with np.errstate(invalid="ignore"):
            found = counts @ sums / (counts @ weight)[:, np.newaxis]
        return dict(zip(names, found.T, strict=True))

    return statistic


def class_scores(elements: Elements, labels: Array, predicted: Array, *, is_binary: bool) -> Statistic:
    """Balanced accuracy and macro F1 (`binary`: also precision, recall and F1 of class 1).

    As scikit-learn defines them: a class counts where it occurs among the resampled targets (balanced accuracy), or
    among these or the predictions (F1); 0 stands for what is divided by 0.
    """
    classes, places = np.unique(np.concatenate([labels, predicted]), return_inverse=True)
    true, guessed = places[: len(labels)], places[len(labels) :]
    cells, cell = np.unique(true * len(classes) + guessed, return_inverse=True)
    order = np.argsort(cell, kind="stable")
    starts = np.searchsorted(cell[order], np.arange(len(cells)))
    rows, columns = np.divmod(cells, len(classes))
    one = int(np.searchsorted(classes, 1)) if is_binary and 1 in classes else None

    def statistic(counts: Array) -> dict[str, Array]:
        weights = np.add.reduceat(elements.spread(counts)[:, order], starts, axis=1)
        support, guesses = _sums(weights, rows, len(classes)), _sums(weights, columns, len(classes))
        is_right = rows == columns
        right = _sums(weights[:, is_right], rows[is_right], len(classes))
        recall, f1 = _divided(right, support), _divided(2 * right, support + guesses)
        found = {
            "balanced_accuracy": _mean_where(recall, support > 0),
            "f1_macro": _mean_where(f1, support + guesses > 0),
        }
        if is_binary:
            nothing = np.zeros(len(counts))
            precision = _divided(right, guesses)
            found |= {
                name: nothing if one is None else values[:, one]
                for name, values in (("precision", precision), ("recall", recall), ("f1", f1))
            }
        return found

    return statistic


def _sums(weights: Array, groups: Array, count: int) -> Array:
    """Sums (b by count) of the columns of `weights` that belong to the same group."""
    totals = np.zeros((count, len(weights)))
    np.add.at(totals, groups, weights.T)
    return totals.T


def _divided(numerator: Array, denominator: Array) -> Array:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


def _mean_where(values: Array, where: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.asarray((values * where).sum(axis=1) / where.sum(axis=1))


def roc_auc(elements: Elements, values: Array, positive: Array) -> Statistic:
    """The area under the ROC curve of one column."""
    order = Order.of(values)
    return lambda counts: {"roc_auc": areas(order, positive, elements.spread(counts))}


def label_scores(elements: Elements, targets: Array, predicted: Array) -> Statistic:
    """Micro and macro F1 of labels, both (m, L), bool."""
    right, support, guesses = (
        elements.per_sample(each.astype(np.float64)) for each in (targets & predicted, targets, predicted)
    )

    def statistic(counts: Array) -> dict[str, Array]:
        found = counts @ right, counts @ (support + guesses)
        micro = _divided(2 * found[0].sum(axis=1), found[1].sum(axis=1))
        return {"f1_micro": micro, "f1_macro": _divided(2 * found[0], found[1]).mean(axis=1)}

    return statistic


def regression_scores(elements: Elements, targets: Array, predictions: Array) -> Statistic:
    """Root mean squared error and R2 of columns, both (m, d), float64; the mean over the columns."""
    centred = targets - targets.mean(axis=0)
    sums = [elements.per_sample(each) for each in (np.square(targets - predictions), centred, np.square(centred))]
    weight = elements.per_sample(np.ones(elements.count))

    def statistic(counts: Array) -> dict[str, Array]:
        total = (counts @ weight)[:, np.newaxis]
        with np.errstate(invalid="ignore", divide="ignore"):
            error, mean, square = (counts @ each / total for each in sums)
            variance = square - np.square(mean)
            variance = np.where(variance <= ROUNDING * square, 0, variance)
            r2 = np.where(variance > 0, 1 - error / variance, np.where(error > 0, 0.0, 1.0))
        return {"root_mean_squared_error": np.sqrt(error).mean(axis=1), "r2": r2.mean(axis=1)}

    return statistic

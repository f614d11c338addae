"""Scores of class probabilities; a larger one is better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Metric = Literal["roc_auc", "accuracy", "balanced_accuracy", "f1_macro", "neg_log_loss"]
Probabilities = NDArray[np.float64]
"""Shape (samples, classes)."""
Labels = NDArray[np.int64]
"""Class numbers, shape (samples,)."""


def score(metric: Metric, labels: Labels, probabilities: Probabilities) -> float:
    """The score of probabilities, by scikit-learn.

    Args:
        metric: `roc_auc` of several classes is the mean over the classes, each against the rest.
        labels: class numbers; every class occurs.
        probabilities: of each class.
    """
    return _SCORES[metric](labels, probabilities)


def _roc_auc(labels: Labels, probabilities: Probabilities) -> float:
    from sklearn.metrics import roc_auc_score

    if probabilities.shape[1] == 2:  # noqa: PLR2004 - scikit-learn takes one column then
        return float(roc_auc_score(labels, probabilities[:, 1]))
    # It insists on sums of 1 within 1e-8, which sums of many float32 do not have.
    rows = probabilities / probabilities.sum(axis=1, keepdims=True)
    return float(roc_auc_score(labels, rows, multi_class="ovr", labels=range(probabilities.shape[1])))


def _of_choices(name: str, **options: Any) -> Callable[[Labels, Probabilities], float]:
    def found(labels: Labels, probabilities: Probabilities) -> float:
        from sklearn import metrics

        return float(getattr(metrics, name)(labels, probabilities.argmax(axis=1), **options))

    return found


def _neg_log_loss(labels: Labels, probabilities: Probabilities) -> float:
    from sklearn.metrics import log_loss

    rows = probabilities / probabilities.sum(axis=1, keepdims=True)
    return -float(log_loss(labels, rows, labels=range(probabilities.shape[1])))


_SCORES: dict[Metric, Callable[[Labels, Probabilities], float]] = {
    "roc_auc": _roc_auc,
    "accuracy": _of_choices("accuracy_score"),
    "balanced_accuracy": _of_choices("balanced_accuracy_score"),
    "f1_macro": _of_choices("f1_score", average="macro"),
    "neg_log_loss": _neg_log_loss,
}
METRICS = tuple(_SCORES)

"""What scikit-learn computes for more than one task, and what its absence is called."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.records.scores import AveragePart, ClassPart
from archiver.scoring.elements import NotScoredError

Array = NDArray[Any]

ZERO_DIVISION = 0.0
MAXIMAL_CLASSES = 10_000
"""Classes in the table."""
INSTALL = 'pip install "keras-archiver[metrics]"'


def scikit_learn_version() -> str:
    """The version that is installed.

    Raises:
        NotScoredError: none is.
    """
    try:
        import sklearn.metrics
    except ImportError as error:
        raise NotScoredError(f"scores need scikit-learn, which cannot be imported ({error}): {INSTALL}") from None
    return str(sklearn.__version__)


def average(targets: Array, predicted: Array, weights: Array | None, kind: str, **arguments: Any) -> AveragePart:
    """Precision, recall and F1, averaged as scikit-learn's `average=` says."""
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(
        targets, predicted, average=kind, sample_weight=weights, zero_division=ZERO_DIVISION, **arguments
    )
    return AveragePart(precision=float(precision), recall=float(recall), f1=float(f1))


def class_table(
    targets: Array, predicted: Array, weights: Array | None, names: tuple[str, ...], counts: tuple[Array, Array, Array]
) -> tuple[ClassPart, ...]:
    """One row per class or label, in order, at most `MAXIMAL_CLASSES`.

    Args:
        targets: class numbers (m,), or (m, L) bool.
        predicted: likewise.
        weights: (m,), or None.
        names: of all classes.
        counts: for each class the elements of it, those predicted to be, those that are both.
    """
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(
        targets, predicted, labels=np.arange(len(names)), sample_weight=weights, zero_division=ZERO_DIVISION
    )
    columns = zip(names[:MAXIMAL_CLASSES], *counts, precision, recall, f1, strict=False)
    return tuple(
        ClassPart(
            index=index,
            name=name,
            support=int(support),
            predicted=int(guesses),
            correct=int(right),
            precision=float(p),
            recall=float(r),
            f1=float(f),
        )
        for index, (name, support, guesses, right, p, r, f) in enumerate(columns)
    )


def names_of(class_names: tuple[str, ...] | None, count: int) -> tuple[str, ...]:
    """One name per class: those of the user where there are as many, else numbers."""
    if class_names is not None and len(class_names) == count:
        return class_names
    return tuple(str(index) for index in range(count))

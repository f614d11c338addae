"""Class distributions: counted in blocks, so that whole arrays and batches that pass by are counted alike."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.collect.data import is_zeros_and_ones
from archiver.records.base import Unavailable
from archiver.records.dataset import ClassDistribution

MAXIMAL_CLASSES = 10_000
BLOCK_SAMPLES = 1 << 16

_NO_LABELS = "the targets are no class labels"

Array = NDArray[Any]


class LabelCounter:
    """Counts the samples of each class over blocks of targets, until they turn out to be no classes."""

    def __init__(self) -> None:
        self._sample_count = 0
        self._reason: str | None = None
        self._counts: dict[int, int] = {}
        self._columns: NDArray[np.int64] | None = None
        self._has_rows_of_one = True

    def update(self, targets: Array) -> None:
        """Add targets of shape (samples,), (samples, 1) or (samples, columns)."""
        if self._reason is not None or not targets.size:
            return
        if targets.ndim == 2 and targets.shape[1] == 1:  # noqa: PLR2004 - a column of labels
            targets = targets[:, 0]
        if not _may_be_labels(targets):
            self._reason = _NO_LABELS
        elif targets.ndim == 1:
            self._add_labels(targets)
        else:
            self._add_rows(targets)
        self._sample_count += len(targets)

    def _add_labels(self, labels: Array) -> None:
        values, counts = np.unique(labels, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self._counts[int(value)] = self._counts.get(int(value), 0) + count
            if len(self._counts) > MAXIMAL_CLASSES:
                self._reason = f"the targets have more than {MAXIMAL_CLASSES} different values"
                self._counts = {}
                return

    def _add_rows(self, rows: Array) -> None:
        if rows.shape[1] > MAXIMAL_CLASSES:
            self._reason = f"the targets have more than {MAXIMAL_CLASSES} columns"
            return
        ones = rows != 0
        columns = ones.sum(axis=0, dtype=np.int64)
        if self._columns is not None and len(self._columns) != len(columns):
            self._reason = "the rows of the targets differ in length"
            return
        self._columns = columns if self._columns is None else self._columns + columns
        self._has_rows_of_one = self._has_rows_of_one and bool(np.all(np.count_nonzero(ones, axis=1) == 1))

    def distribution(self) -> ClassDistribution | Unavailable:
        """What was counted so far."""
        if self._reason is not None or not self._sample_count:
            return Unavailable(unavailable=self._reason or "there are no samples")
        if self._columns is not None and self._counts:
            return Unavailable(unavailable="the targets differ in their number of dimensions")
        if self._columns is None:
            return _distribution("classes", dict(sorted(self._counts.items())), self._sample_count)
        counts = dict(enumerate(self._columns.tolist()))
        return _distribution("one_hot" if self._has_rows_of_one else "multi_label", counts, self._sample_count)


def _may_be_labels(targets: Array) -> bool:
    if targets.ndim == 1 and targets.dtype.kind in "iub":
        return True
    return targets.ndim in (1, 2) and targets.dtype.kind in "iubf" and is_zeros_and_ones(targets)


def _distribution(kind: Any, counts: dict[int, int], sample_count: int) -> ClassDistribution:
    largest = max(counts, key=lambda label: counts[label])
    smallest_count, total = min(counts.values()), sum(counts.values())
    return ClassDistribution(
        kind=kind,
        class_count=len(counts),
        sample_count=sample_count,
        majority_class=str(largest),
        majority_share=counts[largest] / sample_count,
        imbalance_ratio=counts[largest] / smallest_count if smallest_count else math.inf,
        normalised_entropy=_normalised_entropy(list(counts.values())),
        labels_per_sample=total / sample_count,
        counts={str(label): count for label, count in counts.items()},
    )


def _normalised_entropy(counts: list[int]) -> float:
    total = sum(counts)
    if len(counts) < 2 or not total:  # noqa: PLR2004 - one class is no distribution
        return 0.0
    shares = [count / total for count in counts if count]
    return -math.fsum(share * math.log(share) for share in shares) / math.log(len(counts)) + 0.0


def class_distribution(targets: Array) -> ClassDistribution | Unavailable:
    """The class distribution of all targets."""
    counter = LabelCounter()
    for start in range(0, len(targets) if targets.ndim else 0, BLOCK_SAMPLES):
        counter.update(targets[start : start + BLOCK_SAMPLES])
    return counter.distribution()

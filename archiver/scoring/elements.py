"""The elements that are scored: samples, steps of sequences, pixels; which sample each belongs to, and its weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MAXIMAL_ELEMENTS = 50_000_000
"""Numbers that are scored as float64, all at once."""


class NotScoredError(Exception):
    """Why an output has no scores; its text goes into the record."""


@dataclass(frozen=True)
class Elements:
    """How the elements belong to samples. Elements left out are gone from `samples` and `weights`."""

    sample_count: int
    """Of the test data, n."""
    samples: Array | None
    """For each element the number of its sample, int64; None: element i is sample i."""
    weights: Array | None
    """For each element, float64, above 0; None: unweighted."""
    kept: Array | None
    """Of all elements, which are scored; None: all."""
    left_out_count: int
    count: int
    """Elements that are scored, m."""

    def keep(self, values: Array) -> Array:
        """`values` (first axis: all elements) of the elements that are scored."""
        return values if self.kept is None else values[self.kept]

    def per_sample(self, values: Array) -> Array:
        """Weighted sums of `values` (m, or m by k) over the elements of each sample: n, or n by k, float64."""
        weighted = values if self.weights is None else (values.T * self.weights).T
        if self.samples is None:
            return np.asarray(weighted, np.float64)
        columns = weighted.reshape(self.count, -1)
        sums = [np.bincount(self.samples, column, self.sample_count) for column in columns.T]
        return np.stack(sums, axis=-1).reshape(self.sample_count, *values.shape[1:])

    def mean(self, values: Array) -> float:
        """The weighted mean of m values."""
        return float(np.average(values, weights=self.weights))

    def spread(self, counts: Array) -> Array:
        """How often each element counts (b by m) when its sample is drawn so often (b by n)."""
        spread = counts if self.samples is None else counts[:, self.samples]
        return spread if self.weights is None else spread * self.weights


def elements_of(shape: tuple[int, ...], weights: Array | None, ignored: Array | None = None) -> Elements:
    """The elements of an array.

    Args:
        shape: `(n, ...)`, with one place for each element.
        weights: of the samples `(n,)`, or of the elements (`shape`).
        ignored: bool, of `shape`: elements that are not scored whatever their weight.

    Raises:
        NotScoredError: the weights do not fit, are negative or not finite, or nothing is left.
    """
    sample_count, count = shape[0], int(np.prod(shape))
    each = count // max(1, sample_count)
    flat = _flat_weights(weights, sample_count, count) if weights is not None else None
    kept = np.ones(count, bool) if ignored is None else ~ignored.reshape(-1)
    if flat is not None:
        kept &= flat > 0
    kept_count = int(np.count_nonzero(kept))
    if not kept_count:
        raise NotScoredError("all elements have the weight 0, or are of the class that the loss ignores")
    mask = None if kept_count == count else kept
    samples = np.repeat(np.arange(sample_count), each)
    return Elements(
        sample_count=sample_count,
        samples=None if each == 1 and mask is None else samples if mask is None else samples[mask],
        weights=flat if flat is None or mask is None else flat[mask],
        kept=mask,
        left_out_count=count - kept_count,
        count=kept_count,
    )


def _flat_weights(weights: Array, sample_count: int, count: int) -> Array:
    if weights.dtype.kind not in "biuf" or weights.size not in (sample_count, count):
        raise NotScoredError(
            f"the sample weights have the shape {weights.shape}, which fits neither {sample_count} samples nor {count} "
            "elements"
        )
    flat = weights.astype(np.float64).reshape(-1)
    if not np.all(np.isfinite(flat)) or np.any(flat < 0):
        raise NotScoredError("some sample weights are negative or not finite")
    return flat if weights.size == count else np.repeat(flat, count // sample_count)


def check_finite(values: Array, what: str) -> None:
    """Refuse numbers that cannot be scored.

    Raises:
        NotScoredError: some are NaN or infinite; it says how many.
    """
    wrong = int(values.size - np.count_nonzero(np.isfinite(values)))
    if wrong:
        raise NotScoredError(f"{wrong} of {values.size} {what} are NaN or infinite")

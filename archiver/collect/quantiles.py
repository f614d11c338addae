"""Quantiles of numbers that come in blocks, in fixed memory: exact for small whole numbers, else within a thousandth.

Numbers are counted in bins of the upper bits of their float32: sign, exponent and the first 9 bits of the fraction.
Within a bin they differ by at most 2**-9 of their size, so that its middle is off by at most 2**-10: the error is
relative to the value, as in DDSketch (Masson, Rim and Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with
Relative-Error Guarantees", PVLDB 12(12), 2019), with bins that need no logarithm. Whole numbers of up to 16 bits have a
bin each. Counts do not depend on the order, or on how the numbers are cut into blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.collect.numbers import Array

KEPT_BITS = 18
RELATIVE_ERROR = 2.0**-10
SMALLEST_NORMAL = 2.0**-126
"""Below it the error is not relative: at most 2**-136."""
_DROPPED = np.uint32(32 - KEPT_BITS)
_SMALL_BYTES = 2


class QuantileCounts:
    """Counts of numbers by bins.

    Args:
        dtype: of the numbers: truth values, whole numbers or floats.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.is_exact = dtype.kind in "biu" and dtype.itemsize <= _SMALL_BYTES
        self._lowest = int(np.iinfo(dtype).min) if self.is_exact and dtype.kind != "b" else 0
        self._counts = np.zeros(1 << (8 * dtype.itemsize if self.is_exact else KEPT_BITS), np.int64)
        self._bins = np.empty(0, np.intp)  # kept: bincount would make one of these each time, in fresh memory

    @property
    def relative_error(self) -> float:
        """By how much a quantile may differ from the number of its rank, relative to it."""
        return 0.0 if self.is_exact else RELATIVE_ERROR

    def update(self, numbers: Array) -> None:
        """Count finite numbers.

        Args:
            numbers: of the dtype, contiguous, of any shape; those beyond float32 count as its largest.
        """
        flat = numbers.reshape(-1)
        if len(self._bins) < len(flat):
            self._bins = np.empty(len(flat), np.intp)
        bins = self._bins[: len(flat)]
        if self.is_exact:
            np.copyto(bins, _unsigned(flat))
        else:
            with np.errstate(over="ignore"):
                bits = flat.astype(np.float32, copy=False).view(np.uint32)
            np.right_shift(bits, _DROPPED, out=bins, casting="unsafe")
        self._counts += np.bincount(bins, minlength=len(self._counts))

    def update_finite(self, numbers: Array) -> None:
        """Count those that are finite."""
        is_safe = numbers.dtype.kind in "biu" or bool(np.isfinite(numbers).all())
        self.update(numbers if is_safe else numbers[np.isfinite(numbers)])

    def join(self, other: QuantileCounts) -> None:
        """Add what was counted elsewhere, for the same dtype."""
        self._counts += other._counts

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """For each share from 0 to 1, the number of rank ceil(share * count), the smallest at least; NaN of none.

        That is the inverse of the empirical distribution function: definition 1 of Hyndman and Fan, "Sample Quantiles
        in Statistical Packages" (The American Statistician 50(4), 1996).
        """
        order, values = self._ordered()
        totals = np.cumsum(self._counts[order])
        count = int(totals[-1])
        if not count:
            return [math.nan] * len(shares)
        ranks = [min(max(1, math.ceil(share * count - 1e-9 * share)), count) for share in shares]
        places = np.searchsorted(totals, ranks)
        return [float(value) for value in values[places]]

    def _ordered(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The bins from the smallest numbers to the largest, and the number that stands for each."""
        if self.is_exact:
            bins = np.arange(len(self._counts))
            signed = bins if self._lowest == 0 else (bins + len(bins) // 2) % len(bins)
            return signed, (bins + self._lowest).astype(np.float64)
        half = len(self._counts) // 2
        order = np.concatenate([np.arange(2 * half - 1, half - 1, -1), np.arange(half)])
        first = order.astype(np.uint32) << _DROPPED
        last = first | np.uint32((1 << int(_DROPPED)) - 1)
        with np.errstate(invalid="ignore"):
            begins, ends = (bits.view(np.float32).astype(np.float64) for bits in (first, last))
            middles = (begins + ends) / 2
        largest = float(np.finfo(np.float32).max)
        return order, np.where(np.isinf(begins), np.copysign(largest, begins), middles)


def _unsigned(flat: Array) -> NDArray[Any]:
    """Bins of small whole numbers: their own bits."""
    return flat.view(np.uint8 if flat.dtype.itemsize == 1 else np.uint16)

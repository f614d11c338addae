"""Mean, extremes and percentiles of a stream of numbers, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterable

BINS_PER_OCTAVE = 64
_OFFSET = 1100 * BINS_PER_OCTAVE
"""Larger than the number of the smallest positive float's bin, so that bins of positive numbers are positive."""

RELATIVE_ERROR = 1 / (2 * BINS_PER_OCTAVE)
"""Of a percentile, at most."""


class Distribution:
    """Counts numbers in bins whose width is a 64th of the power of two they lie in. Not for NaN and infinities."""

    __slots__ = ("_bins", "count", "maximum", "minimum", "total")

    def __init__(self, values: Iterable[float] = ()) -> None:
        self.count = 0
        self.total = 0.0
        self.minimum = math.inf
        self.maximum = -math.inf
        self._bins: dict[int, int] = {}
        for value in values:
            self.add(value)

    def add(self, value: float) -> None:
        """Count one number."""
        self.count += 1
        self.total += value
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)
        number = _bin(value)
        self._bins[number] = self._bins.get(number, 0) + 1

    def add_all(self, other: Distribution) -> None:
        """Count all numbers of another distribution."""
        self.count += other.count
        self.total += other.total
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        for number, count in other._bins.items():
            self._bins[number] = self._bins.get(number, 0) + count

    @property
    def mean(self) -> float:
        """The arithmetic mean; NaN of nothing."""
        return self.total / self.count if self.count else math.nan

    def percentile(self, percent: float) -> float:
        """The smallest number that at least `percent` of them do not exceed (nearest rank), within `RELATIVE_ERROR`.

        NaN of nothing.
        """
        rank = max(1, math.ceil(percent / 100 * self.count))
        for number in sorted(self._bins):
            rank -= self._bins[number]
            if rank <= 0:
                return min(max(_middle(number), self.minimum), self.maximum)
        return math.nan


def _bin(value: float) -> int:
    if value == 0:
        return 0
    mantissa, exponent = math.frexp(abs(value))
    number = _OFFSET + exponent * BINS_PER_OCTAVE + int((2 * mantissa - 1) * BINS_PER_OCTAVE)
    return number if value > 0 else -number


def _middle(number: int) -> float:
    if number == 0:
        return 0.0
    exponent, part = divmod(abs(number) - _OFFSET, BINS_PER_OCTAVE)
    middle = math.ldexp((1 + (part + 0.5) / BINS_PER_OCTAVE) / 2, exponent)
    return middle if number > 0 else -middle

"""Range, mean and deviation of each channel of windows that come in blocks, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.collect.numbers import Array

Float64Array = NDArray[np.float64]

LARGEST_SQUARED_MEAN = 1e4
"""Against the variance: up to there 12 of the 16 digits of the variance are right."""


class ChannelStatistics:
    """Statistics by channel, the second axis.

    Each block gives means and squared distances; where the means are large against the deviations, they are taken off
    first, so that no digits are lost. Blocks are joined as in `archiver.collect.numbers.Moments` (Chan, Golub and
    LeVeque 1979).

    Args:
        channel_count: length of the second axis.

    Attributes:
        minimum, maximum: by channel, of the numbers that are not NaN; infinite the other way where there are none.
        mean: by channel, of the finite numbers.
        counts: finite numbers, by channel.
        missing: NaN, by channel.
        infinite: infinite numbers, by channel.
        zeros: numbers that are 0, of all channels.
        element_count: all numbers.
    """

    def __init__(self, channel_count: int) -> None:
        self.minimum = np.full(channel_count, np.inf)
        self.maximum = np.full(channel_count, -np.inf)
        self.mean = np.zeros(channel_count)
        self.counts = np.zeros(channel_count, np.int64)
        self.missing = np.zeros(channel_count, np.int64)
        self.infinite = np.zeros(channel_count, np.int64)
        self.zeros = 0
        self.element_count = 0
        self._squares = np.zeros(channel_count)
        self._scratch = np.empty((0, channel_count, 0))

    def update(self, block: Array) -> None:
        """Add windows.

        Args:
            block: shape (windows, channels, ...), numbers.
        """
        rows = block.reshape(len(block), len(self.mean), -1)
        if not rows.size:
            return
        self.element_count += rows.size
        with np.errstate(all="ignore"):
            self.zeros += int(np.count_nonzero(rows == 0))
            low, high = _by_channel(np.minimum, rows), _by_channel(np.maximum, rows)
            if np.isfinite(low).all() and np.isfinite(high).all():
                self._add(rows, low, high)
            else:
                self._add_with_gaps(rows)

    def _add(self, rows: Array, low: Float64Array, high: Float64Array) -> None:
        if self._scratch.shape != rows.shape:
            self._scratch = np.empty(rows.shape)
        values, count = self._scratch, rows.shape[0] * rows.shape[2]
        np.copyto(values, rows, casting="unsafe")
        means, squares = _moments(values, count)
        if not (means * means * count <= LARGEST_SQUARED_MEAN * squares).all():
            shift = means.copy()
            values -= shift[:, None]
            means, squares = _moments(values, count)
            means += shift
        self._join(np.full(len(means), count), means, np.maximum(squares, 0.0))
        self._take_range(low, high)

    def _add_with_gaps(self, rows: Array) -> None:
        """Channel by channel: what is not finite is counted and left out."""
        columns = np.moveaxis(rows, 1, 0).reshape(len(self.mean), -1).astype(np.float64)
        counts, means, squares = (np.zeros(len(columns)) for _ in range(3))
        for channel, values in enumerate(columns):
            is_missing = np.isnan(values)
            numbers = values[~is_missing]
            finite = numbers[np.isfinite(numbers)]
            self.missing[channel] += int(is_missing.sum())
            self.infinite[channel] += numbers.size - finite.size
            if numbers.size:
                self.minimum[channel] = min(self.minimum[channel], numbers.min())
                self.maximum[channel] = max(self.maximum[channel], numbers.max())
            if finite.size:
                counts[channel], means[channel] = finite.size, finite.mean()
                squares[channel] = np.square(finite - finite.mean()).sum()
        self._join(counts.astype(np.int64), means, squares)

    def join(self, other: ChannelStatistics) -> None:
        """Add what was found elsewhere, of as many channels."""
        self._join(other.counts, other.mean, other._squares)
        self._take_range(other.minimum, other.maximum)
        self.missing += other.missing
        self.infinite += other.infinite
        self.zeros += other.zeros
        self.element_count += other.element_count

    def _join(self, counts: NDArray[np.int64], means: Float64Array, squares: Float64Array) -> None:
        totals = self.counts + counts
        share = counts / np.maximum(totals, 1)
        with np.errstate(over="ignore", invalid="ignore"):
            difference = np.where(counts > 0, means - self.mean, 0.0)
            self._squares += squares + difference * difference * (self.counts * share)
            self.mean += difference * share
        self.counts = totals

    def _take_range(self, low: Any, high: Any) -> None:
        self.minimum, self.maximum = np.minimum(self.minimum, low), np.maximum(self.maximum, high)

    @property
    def standard_deviation(self) -> Float64Array:
        """By channel, of the finite numbers, divided by their count; 0 of none."""
        found: Float64Array = np.sqrt(self._squares / np.maximum(self.counts, 1))
        return found

    def whole(self) -> tuple[float, float]:
        """Mean and standard deviation of all channels together; 0 of none."""
        count = int(self.counts.sum())
        if not count:
            return 0.0, 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float((self.mean * (self.counts / count)).sum())
            between = float((np.square(self.mean - mean) * (self.counts / count)).sum())
            return mean, float(np.sqrt(float(self._squares.sum()) / count + between))


def _moments(values: Float64Array, count: int) -> tuple[Float64Array, Float64Array]:
    """Mean, and sum of the squared distances from it, by channel."""
    sums = values.sum(axis=2).sum(axis=0)
    squares = np.vecdot(values, values) if hasattr(np, "vecdot") else np.einsum("wcs,wcs->wc", values, values)
    means: Float64Array = sums / count
    return means, squares.sum(axis=0) - sums * means


def _by_channel(function: np.ufunc, rows: Array) -> Float64Array:
    found: Float64Array = function.reduce(function.reduce(rows, axis=0), axis=1).astype(np.float64)
    return found

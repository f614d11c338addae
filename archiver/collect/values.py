"""Numbers in an array: their digest, statistics and norms in one pass over blocks that fit the processor's cache."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from archiver.collect.numbers import Array, Float64Array, Moments, as_float64, is_real, raw_bytes, sum_of_squares
from archiver.records.base import Unavailable
from archiver.records.model import StatisticsPart
from archiver.storage.digests import Hasher

BLOCK_ELEMENTS = 1 << 16
"""Half a megabyte as float64: block after block is read from memory once, and worked on in the cache."""


@dataclass
class Squares:
    """Sums of squares: of the values before, of those after, and of the differences; float64."""

    initial: float = 0.0
    final: float = 0.0
    change: float = 0.0

    def add(self, initial: Float64Array, final: Float64Array) -> None:
        """Add equally many elements of both; `initial` is overwritten."""
        self.initial += sum_of_squares(initial)
        self.final += sum_of_squares(final)
        np.subtract(final, initial, out=initial)
        self.change += sum_of_squares(initial)

    def __iadd__(self, other: Squares) -> Squares:
        self.initial += other.initial
        self.final += other.final
        self.change += other.change
        return self


class FiniteStatistics:
    """Statistics of the finite numbers of an array that comes in blocks."""

    def __init__(self) -> None:
        self._moments = Moments()
        self._minimum = np.inf
        self._maximum = -np.inf
        self._zero_count = 0
        self._non_finite_count = 0

    def add(self, block: Float64Array) -> None:
        """Add a block, which is overwritten."""
        low, high = float(block.min()), float(block.max())
        if not np.isfinite(low) or not np.isfinite(high):
            finite = block[np.isfinite(block)]
            self._non_finite_count += block.size - finite.size
            if not finite.size:
                return
            block, low, high = finite, float(finite.min()), float(finite.max())
        self._minimum, self._maximum = min(self._minimum, low), max(self._maximum, high)
        self._zero_count += int(np.count_nonzero(block == 0))
        self._moments.add(block)

    def result(self) -> StatisticsPart:
        """The statistics of all blocks so far."""
        nothing = Unavailable(unavailable="none of its elements is finite")
        moments, some = self._moments, self._moments.count > 0
        return StatisticsPart(
            mean=moments.mean if some else nothing,
            standard_deviation=moments.standard_deviation if some else nothing,
            minimum=self._minimum if some else nothing,
            maximum=self._maximum if some else nothing,
            zero_share=self._zero_count / moments.count if some else nothing,
            non_finite_count=self._non_finite_count,
        )


def scan(array: Array, hashers: Iterable[Hasher] = ()) -> StatisticsPart | Unavailable:
    """Statistics of an array, and its bytes added to every hasher.

    Args:
        array: of any shape and type, contiguous in C order, little-endian.
        hashers: what `update` is called of, with all the bytes in order.
    """
    flat = array.reshape(-1)
    counts = is_real(array.dtype) and array.size > 0
    statistics, buffer, hashers = FiniteStatistics(), np.empty(min(array.size, BLOCK_ELEMENTS)), tuple(hashers)
    with np.errstate(all="ignore"):
        for start in range(0, flat.size, BLOCK_ELEMENTS):
            block = flat[start : start + BLOCK_ELEMENTS]
            for hasher in hashers:
                hasher.update(raw_bytes(block))
            if counts:
                statistics.add(as_float64(block, buffer))
    if counts:
        return statistics.result()
    return Unavailable(unavailable="it has no elements" if not array.size else "its elements are no real numbers")


def change_squares(initial: Array, final: Array) -> Squares:
    """Sums of squares of an array before and after, both of the same shape; elements that are not finite show."""
    squares = Squares()
    before, after = initial.reshape(-1), final.reshape(-1)
    buffers = np.empty((2, min(after.size, BLOCK_ELEMENTS)))
    with np.errstate(all="ignore"):
        for start in range(0, after.size, BLOCK_ELEMENTS):
            stop = start + BLOCK_ELEMENTS
            squares.add(as_float64(before[start:stop], buffers[0]), as_float64(after[start:stop], buffers[1]))
    return squares

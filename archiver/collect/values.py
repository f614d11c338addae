"""Numbers in an array: their digest, statistics and norms in one pass over blocks that fit the processor's cache."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.records.base import Unavailable
from archiver.records.model import StatisticsPart
from archiver.storage.digests import Hasher

BLOCK_ELEMENTS = 1 << 16
"""Half a megabyte as float64: block after block is read from memory once, and worked on in the cache."""

Array = NDArray[Any]
Float64Array = NDArray[np.float64]


def is_real(array: Array) -> bool:
    """Whether the elements are truth values, whole numbers or floats, those of ml_dtypes (bfloat16, ...) included."""
    return array.dtype.kind in "biuf" or _is_foreign(array.dtype)


def is_floating(array: Array) -> bool:
    """Whether the elements are floats, bfloat16 and its like included."""
    return array.dtype.kind == "f" or (_is_foreign(array.dtype) and "float" in array.dtype.name)


def _is_foreign(dtype: np.dtype[Any]) -> bool:
    """Whether it is a type of ml_dtypes."""
    return dtype.isbuiltin == 2 and dtype.names is None  # noqa: PLR2004 - NumPy's mark


@dataclass
class Squares:
    """Sums of squares: of the values before, of those after, and of the differences; float64."""

    initial: float = 0.0
    final: float = 0.0
    change: float = 0.0

    def add(self, initial: Float64Array, final: Float64Array) -> None:
        """Add equally many elements of both; `initial` is overwritten."""
        self.initial += _sum_of_squares(initial)
        self.final += _sum_of_squares(final)
        np.subtract(final, initial, out=initial)
        self.change += _sum_of_squares(initial)

    def __iadd__(self, other: Squares) -> Squares:
        self.initial += other.initial
        self.final += other.final
        self.change += other.change
        return self


class Moments:
    """Statistics of numbers that come in blocks.

    Mean and sum of squared deviations of the blocks are merged by the formulas of Chan, Golub and LeVeque (1979): with
    d the difference of the means and n, m the counts, the mean moves by d*m/(n+m), and d*d*n*m/(n+m) joins the sum.
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean = 0.0
        self._deviations = 0.0
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
        mean = float(block.mean())
        block -= mean
        self._merge(block.size, mean, _sum_of_squares(block))

    def _merge(self, count: int, mean: float, deviations: float) -> None:
        total = self._count + count
        difference = mean - self._mean
        self._mean += difference * (count / total)
        self._deviations += deviations + difference * difference * (self._count * (count / total))
        self._count = total

    def result(self) -> StatisticsPart:
        """The statistics of all blocks so far."""
        nothing = Unavailable(unavailable="none of its elements is finite")
        some = self._count > 0
        return StatisticsPart(
            mean=self._mean if some else nothing,
            standard_deviation=float(np.sqrt(self._deviations / self._count)) if some else nothing,
            minimum=self._minimum if some else nothing,
            maximum=self._maximum if some else nothing,
            zero_share=self._zero_count / self._count if some else nothing,
            non_finite_count=self._non_finite_count,
        )


def scan(array: Array, hashers: Iterable[Hasher] = ()) -> StatisticsPart | Unavailable:
    """Statistics of an array, and its bytes added to every hasher.

    Args:
        array: of any shape and type, contiguous in C order, little-endian.
        hashers: what `update` is called of, with all the bytes in order.
    """
    flat = array.reshape(-1)
    counts = is_real(array) and array.size > 0
    moments, buffer, hashers = Moments(), np.empty(min(array.size, BLOCK_ELEMENTS)), tuple(hashers)
    with np.errstate(all="ignore"):
        for start in range(0, flat.size, BLOCK_ELEMENTS):
            block = flat[start : start + BLOCK_ELEMENTS]
            for hasher in hashers:
                hasher.update(block.view(np.uint8).data)
            if counts:
                moments.add(_as_float64(block, buffer))
    if counts:
        return moments.result()
    return Unavailable(unavailable="it has no elements" if not array.size else "its elements are no real numbers")


def change_squares(initial: Array, final: Array) -> Squares:
    """Sums of squares of an array before and after, both of the same shape; elements that are not finite show."""
    squares = Squares()
    before, after = initial.reshape(-1), final.reshape(-1)
    buffers = np.empty((2, min(after.size, BLOCK_ELEMENTS)))
    with np.errstate(all="ignore"):
        for start in range(0, after.size, BLOCK_ELEMENTS):
            stop = start + BLOCK_ELEMENTS
            squares.add(_as_float64(before[start:stop], buffers[0]), _as_float64(after[start:stop], buffers[1]))
    return squares


def _sum_of_squares(block: Float64Array) -> float:
    # Not `block @ block`: BLAS spreads it over threads, which takes a hundred times as long on a busy machine.
    return float(np.einsum("i,i->", block, block))


def _as_float64(block: Array, buffer: Float64Array) -> Float64Array:
    target = buffer[: block.size]
    # The types of ml_dtypes convert to float32 exactly; not all of them convert to float64 in one go.
    target[...] = block.astype(np.float32) if _is_foreign(block.dtype) else block
    return target

"""Numbers of arrays in one pass over blocks, and the fingerprint of all bytes; meanwhile other threads run."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.collect.numbers import Array, Moments, as_float64, is_real, little_endian, raw_bytes
from archiver.records.base import Unavailable
from archiver.records.dataset import ArrayPart

BLOCK_BYTES = 1 << 20
"""Small enough to stay in a core's cache for all that is done with a block, large enough for few calls."""
SEGMENT_ELEMENTS = 1 << 16


class NumberStatistics:
    """Range, mean, deviation and counts of the numbers of an array that comes in blocks."""

    def __init__(self, capacity: int = SEGMENT_ELEMENTS) -> None:
        """`capacity`: numbers that are looked at together; the size of the scratch memory."""
        self.element_count = 0
        self.missing = 0
        self.infinite = 0
        self.zeros = 0
        self.minimum = math.inf
        self.maximum = -math.inf
        self._moments = Moments()
        self._scratch = np.empty(capacity, np.float64)
        self._is_zero = np.empty(capacity, np.bool_)

    def update(self, numbers: Array) -> None:
        """Add the elements of an array of real numbers of any dtype and shape."""
        flat = numbers.reshape(-1)
        with np.errstate(all="ignore"):
            for start in range(0, flat.size, len(self._scratch)):
                self._add(flat[start : start + len(self._scratch)])

    def _add(self, segment: Array) -> None:
        values = as_float64(segment, self._scratch)
        is_zero = np.equal(values, 0, out=self._is_zero[: segment.size])
        self.zeros += int(np.count_nonzero(is_zero))
        self.element_count += segment.size
        low, high = float(np.minimum.reduce(values)), float(np.maximum.reduce(values))
        if not (math.isfinite(low) and math.isfinite(high)):
            values, low, high = self._take_out_non_finite(values)
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)
        if values.size:
            self._moments.add(values)

    def _take_out_non_finite(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, float]:
        is_missing = np.isnan(values)
        numbers = values[~is_missing]
        self.missing += int(np.count_nonzero(is_missing))
        low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (math.inf, -math.inf)
        finite = numbers[np.isfinite(numbers)]
        self.infinite += numbers.size - finite.size
        return finite, low, high

    @property
    def mean(self) -> float:
        """Of the finite elements; 0 without any."""
        return self._moments.mean

    @property
    def has_range(self) -> bool:
        """Whether there is a number that is not NaN."""
        return self.element_count > self.missing

    @property
    def finite_count(self) -> int:
        """Elements that are neither NaN nor infinite."""
        return self._moments.count

    @property
    def standard_deviation(self) -> float:
        """Of the finite elements; 0 without any."""
        return self._moments.standard_deviation


class ArrayDescription:
    """An array in the making: whole arrays and batches that pass by are described by this one piece of code."""

    def __init__(self, name: str, dtype: np.dtype[Any], *, with_fingerprint: bool, capacity: int) -> None:
        self._name = name
        self._dtype = dtype
        self._digest = hashlib.sha256() if with_fingerprint and not dtype.hasobject else None
        self._numbers = NumberStatistics(capacity) if is_real(dtype) else None
        self._other_missing: int | None = 0 if dtype.kind in "mMc" else None
        self._other_infinite = 0

    def update(self, block: Array) -> None:
        """Add a contiguous little-endian block, as `blocks` makes them."""
        if self._digest is not None:
            self._digest.update(raw_bytes(block))
        if self._numbers is not None:
            self._numbers.update(block)
        elif self._dtype.kind in "mM":
            self._other_missing = (self._other_missing or 0) + int(np.count_nonzero(np.isnat(block)))
        elif self._dtype.kind == "c":
            missing = np.isnan(block)
            self._other_missing = (self._other_missing or 0) + int(np.count_nonzero(missing))
            self._other_infinite += int(np.count_nonzero(np.isinf(block) & ~missing))

    def part(self, shape: tuple[int | None, ...], no_fingerprint: str = "holds Python objects") -> ArrayPart:
        """The record. `no_fingerprint`: why there is none, where there is none."""
        digest = self._digest.hexdigest() if self._digest is not None else Unavailable(unavailable=no_fingerprint)
        return ArrayPart(name=self._name, shape=shape, dtype=str(self._dtype), sha256=digest, **self._values())

    def _values(self) -> dict[str, Any]:
        numbers = self._numbers
        if numbers is None:
            return self._values_without_numbers()
        empty = Unavailable(unavailable="has no numbers")
        beyond = Unavailable(unavailable="the numbers are too large to be summed in float64")
        summable = math.isfinite(numbers.mean) and math.isfinite(numbers.standard_deviation)
        wanting = None if numbers.finite_count and summable else beyond if numbers.finite_count else empty
        return {
            "minimum": numbers.minimum if numbers.has_range else empty,
            "maximum": numbers.maximum if numbers.has_range else empty,
            "mean": wanting or numbers.mean,
            "standard_deviation": wanting or numbers.standard_deviation,
            "missing": numbers.missing,
            "infinite": numbers.infinite,
            "zero_share": numbers.zeros / numbers.element_count if numbers.element_count else empty,
        }

    def _values_without_numbers(self) -> dict[str, Any]:
        kind = {"c": "complex numbers have no order", "m": "holds times", "M": "holds times"}.get(self._dtype.kind)
        none = Unavailable(unavailable=kind or "has no numbers")
        names = ("minimum", "maximum", "mean", "standard_deviation", "missing", "infinite", "zero_share")
        values: dict[str, Any] = dict.fromkeys(names, none)
        if self._other_missing is not None:
            values["missing"] = self._other_missing
        if self._dtype.kind == "c":
            values["infinite"] = self._other_infinite
        return values


def describe_array(name: str, array: Array, also: Callable[[Array], None] | None = None) -> ArrayPart:
    """Numbers and fingerprint of an array, in one pass.

    Args:
        name: see `ArrayPart`.
        array: of any dtype and shape, contiguous or not, in memory or mapped.
        also: called with each block of samples, in order, while it is in the cache.
    """
    return describe_blocks(name, array.dtype, array.shape, blocks(array), also)


def describe_blocks(
    name: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    parts: Iterable[Array],
    also: Callable[[Array], None] | None = None,
) -> ArrayPart:
    """The same of an array that comes in blocks, as `blocks` makes them."""
    capacity = max(1, min(math.prod(shape), SEGMENT_ELEMENTS))
    description = ArrayDescription(name, dtype, with_fingerprint=True, capacity=capacity)
    for block in parts:
        description.update(block)
        if also is not None:
            also(block)
    return description.part(shape)


def blocks(array: Array) -> Iterator[Array]:
    """The array by blocks of whole samples, contiguous and little-endian; one sample is never cut."""
    samples = array.reshape(1) if array.ndim == 0 else array
    rows = max(1, BLOCK_BYTES // max(1, samples.nbytes // max(1, len(samples))))
    for start in range(0, len(samples), rows):
        yield little_endian(np.ascontiguousarray(samples[start : start + rows]))

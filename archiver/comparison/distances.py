"""How far two tensors are from each other, in bounded memory: both are read block by block."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Block = memoryview | bytes
Array = NDArray[Any]

STRETCH_BYTES = 1 << 16
"""What is computed with at a time: it and what is made of it fit into a processor's cache."""
_NUMERIC = "biuf"


@dataclass(frozen=True)
class Distance:
    """Of two tensors x and y, in float64, over the elements that are finite in both. Swapping them changes nothing
    but which norm is which."""

    element_count: int
    changed_count: int
    """Elements that differ; NaN equals NaN."""
    non_finite_count: int
    """Elements that are NaN or infinite in either; all that follows leaves them out."""
    norm_before: float
    """Square root of the sum of x_i**2."""
    norm_after: float
    distance: float
    """Square root of the sum of (x_i - y_i)**2."""
    maximal_absolute: float
    """The largest |x_i - y_i|."""
    maximal_at: int | None
    """Its place, counted in C order; None where nothing differs."""
    maximal_magnitude: float
    """The largest |x_i| or |y_i|."""
    product: float
    """Sum of x_i * y_i."""

    @property
    def relative(self) -> float:
        """`distance` divided by the larger of the norms: 0 for the same, at most 2; infinite where squares overflow."""
        if not math.isfinite(self.distance):
            return math.inf
        norm = max(self.norm_before, self.norm_after)
        return self.distance / norm if norm else 0.0

    @property
    def cosine(self) -> float | None:
        """Of the angle between x and y; None where one is 0."""
        norms = self.norm_before * self.norm_after
        return min(1.0, max(-1.0, self.product / norms)) if norms and math.isfinite(norms) else None


def together(distances: Iterable[Distance]) -> Distance:
    """The distance of tensors that are laid end to end; the place of the largest difference is not told."""
    found = list(distances)
    return Distance(
        element_count=sum(each.element_count for each in found),
        changed_count=sum(each.changed_count for each in found),
        non_finite_count=sum(each.non_finite_count for each in found),
        norm_before=math.hypot(*(each.norm_before for each in found)),
        norm_after=math.hypot(*(each.norm_after for each in found)),
        distance=math.hypot(*(each.distance for each in found)),
        maximal_absolute=max((each.maximal_absolute for each in found), default=0.0),
        maximal_at=None,
        maximal_magnitude=max((each.maximal_magnitude for each in found), default=0.0),
        product=math.fsum(each.product for each in found),
    )


def reader_of(dtype: str) -> tuple[int, Callable[[Block], Array]] | None:
    """Bytes of an element of the type, and what makes float64 of bytes; None for what holds no real numbers.

    Args:
        dtype: as NumPy or ml_dtypes calls it.
    """
    if dtype == "bfloat16":
        return 2, _from_bfloat16
    kind = _numpy_type(dtype) or _foreign_type(dtype)
    if kind is None:
        return None
    return kind.itemsize, lambda data: np.frombuffer(data, kind).astype(np.float64)


def _numpy_type(dtype: str) -> np.dtype[Any] | None:
    try:
        kind = np.dtype(dtype)
    except (TypeError, ValueError):
        return None
    return kind.newbyteorder("<") if kind.kind in _NUMERIC and kind.itemsize <= 8 else None  # noqa: PLR2004 - float64


def _foreign_type(dtype: str) -> np.dtype[Any] | None:
    """Such as float8, where ml_dtypes is installed."""
    try:
        import ml_dtypes
    except ImportError:
        return None
    scalar = getattr(ml_dtypes, dtype, None) if dtype.startswith("float") else None
    return np.dtype(scalar) if isinstance(scalar, type) and issubclass(scalar, np.generic) else None


def _from_bfloat16(data: Block) -> Array:
    """The upper half of a float32."""
    return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def distance_between(before: Iterable[Block], after: Iterable[Block], dtype: str) -> Distance:
    """Of two tensors of the same type and shape.

    Args:
        before: the bytes of one, little-endian and in C order, in blocks of whole elements.
        after: those of the other, in blocks of whatever other sizes.
        dtype: for which `reader_of` has a reader.

    Raises:
        ValueError: one has more elements, or the type holds no real numbers.
    """
    reader = reader_of(dtype)
    if reader is None:
        raise ValueError(f"elements of {dtype} are no real numbers")
    item_bytes, read = reader
    sums = _Sums()
    for one, other in _side_by_side(before, after, STRETCH_BYTES // item_bytes * item_bytes):
        sums.add(read(one), read(other))
    return sums.distance()


def _side_by_side(before: Iterable[Block], after: Iterable[Block], limit: int) -> Iterator[tuple[Block, Block]]:
    """Pieces of equal length of both, at most `limit` bytes long."""
    sources = iter(before), iter(after)
    rests = [memoryview(b""), memoryview(b"")]
    while True:
        for place, source in enumerate(sources):
            while not rests[place]:
                block = next(source, None)
                if block is None:
                    break
                rests[place] = memoryview(block).cast("B")
        length = min(limit, *map(len, rests))
        if not length:
            if any(rests):
                raise ValueError("one tensor is longer than the other")
            return
        yield rests[0][:length], rests[1][:length]
        rests = [rest[length:] for rest in rests]


def _dot(x: Array, y: Array) -> float:
    """Sum of x_i * y_i. Not by BLAS: for so few numbers its threads cost more than they bring."""
    return float(np.einsum("i,i->", x, y))


class _Sums:
    """What is gathered on the way."""

    def __init__(self) -> None:
        self.count = self.changed = self.non_finite = 0
        self.squares = [0.0, 0.0, 0.0]
        self.product = self.maximum = self.magnitude = 0.0
        self.maximal_at: int | None = None

    def add(self, x: Array, y: Array) -> None:
        """The next elements of both."""
        with np.errstate(all="ignore"):
            squares = _dot(x, x), _dot(y, y)
            if not (math.isfinite(squares[0]) and math.isfinite(squares[1])):
                x, y, squares = self._finite(x, y)
            difference = x - y
            self.changed += int(np.count_nonzero(difference))
            self.product += _dot(x, y)
            for place, value in enumerate((*squares, _dot(difference, difference))):
                self.squares[place] += value
            self._find_largest(x, y, difference)
        self.count += len(x)

    def _finite(self, x: Array, y: Array) -> tuple[Array, Array, tuple[float, float]]:
        """Both with zeros in place of what is not finite in either."""
        bad = ~(np.isfinite(x) & np.isfinite(y))
        same = (x == y) | (np.isnan(x) & np.isnan(y))
        self.changed += int(np.count_nonzero(bad & ~same))
        self.non_finite += int(np.count_nonzero(bad))
        x, y = np.where(bad, 0.0, x), np.where(bad, 0.0, y)
        return x, y, (_dot(x, x), _dot(y, y))

    def _find_largest(self, x: Array, y: Array, difference: Array) -> None:
        if not len(x):
            return
        self.magnitude = max(self.magnitude, *(abs(float(each)) for each in (x.max(), x.min(), y.max(), y.min())))
        np.abs(difference, out=difference)
        place = int(difference.argmax())
        if float(difference[place]) > self.maximum:
            self.maximum, self.maximal_at = float(difference[place]), self.count + place

    def distance(self) -> Distance:
        """Of all that was added."""
        norms = [math.sqrt(value) for value in self.squares]
        return Distance(
            element_count=self.count,
            changed_count=self.changed,
            non_finite_count=self.non_finite,
            norm_before=norms[0],
            norm_after=norms[1],
            distance=norms[2],
            maximal_absolute=self.maximum,
            maximal_at=self.maximal_at,
            maximal_magnitude=self.magnitude,
            product=self.product,
        )

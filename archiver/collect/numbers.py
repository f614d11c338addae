"""What describing data and describing weights share: an array's bytes, its numbers as float64, mean and deviation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Float64Array = NDArray[np.float64]


def is_real(dtype: np.dtype[Any]) -> bool:
    """Whether its elements are truth values, whole numbers or floats, those of ml_dtypes (bfloat16, ...) included."""
    return dtype.kind in "biuf" or _is_foreign(dtype)


def is_floating(dtype: np.dtype[Any]) -> bool:
    """Whether its elements are floats, bfloat16 and its like included."""
    return dtype.kind == "f" or (_is_foreign(dtype) and "float" in dtype.name)


def _is_foreign(dtype: np.dtype[Any]) -> bool:
    """Whether it is a type of ml_dtypes."""
    return dtype.isbuiltin == 2 and dtype.names is None  # noqa: PLR2004 - NumPy's mark


def little_endian(array: Array) -> Array:
    """The array, or a copy of it where its bytes stand the other way."""
    return array.astype(array.dtype.newbyteorder("<")) if array.dtype.byteorder == ">" else array


def raw_bytes(array: Array) -> memoryview:
    """The bytes of a contiguous array, without a copy."""
    return array.reshape(-1).view(np.uint8).data


def as_float64(block: Array, buffer: Float64Array) -> Float64Array:
    """The real numbers of a flat block, in the first elements of `buffer`."""
    target = buffer[: block.size]
    # The types of ml_dtypes convert to float32 exactly; not all of them convert to float64 in one go.
    source = block.astype(np.float32) if _is_foreign(block.dtype) else block
    np.copyto(target, source, casting="unsafe")
    return target


def sum_of_squares(block: Float64Array) -> float:
    """Of a flat block."""
    # Not `block @ block`: BLAS spreads it over threads, which takes a hundred times as long on a busy machine.
    return float(np.einsum("i,i->", block, block))


class Moments:
    """Count, mean and standard deviation of finite numbers that come in blocks, accumulated in float64.

    Means and squared distances of the blocks are joined by the pairwise update of Chan, Golub and LeVeque, "Updating
    Formulae and a Pairwise Algorithm for Computing Sample Variances" (Stanford STAN-CS-79-773, 1979), which loses no
    digits where the mean is large beside the deviation: with d the difference of the means and n, m the counts, the
    mean moves by d*m/(n+m), and d*d*n*m/(n+m) joins the sum.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self._squared_distances = 0.0

    def add(self, block: Float64Array) -> None:
        """Add a flat block of at least one number, which is overwritten."""
        mean = float(np.add.reduce(block)) / block.size
        np.subtract(block, mean, out=block)
        difference = mean - self.mean
        total = self.count + block.size
        self._squared_distances += sum_of_squares(block)
        self._squared_distances += difference * difference * (self.count * (block.size / total))
        self.mean += difference * (block.size / total)
        self.count = total

    @property
    def standard_deviation(self) -> float:
        """Of all of them, divided by their count; 0 without any."""
        return math.sqrt(self._squared_distances / self.count) if self.count else 0.0

"""Whole numbers on disk that stand for real ones: value = stored * scale + offset, in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.buffers import BUFFERS
from archiver.errors import ArgumentError, DataError

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Scaling:
    """Scale and offset, each a number or an array that spreads over a window, such as (channels, 1); float32."""

    scale: FloatArray
    offset: FloatArray

    @property
    def has_offset(self) -> bool:
        """Whether anything is added."""
        return bool(np.any(self.offset))

    def applied(self, stored: NDArray[Any]) -> FloatArray:
        """The values, float32: first multiplied, then added to, each step rounded."""
        values: FloatArray = BUFFERS.array(stored.shape, np.dtype(np.float32))
        np.multiply(stored, self.scale, out=values, dtype=np.float32)
        if self.has_offset:
            values += self.offset
        return values

    def equals(self, other: Scaling | None) -> bool:
        """Whether both make the same values."""
        return (
            other is not None and np.array_equal(self.scale, other.scale) and np.array_equal(self.offset, other.offset)
        )

    def stored(self, values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        """The whole numbers that stand for these values, the nearest each.

        Raises:
            DataError: a value is not finite, or no number of this type stands for it.
        """
        exact = (np.asarray(values, np.float64) - self.offset.astype(np.float64)) / self.scale.astype(np.float64)
        if not np.isfinite(exact).all():
            raise DataError("a value is not finite. Expected finite values, or no scale=, which stores them as floats.")
        rounded = np.rint(exact)
        limits = np.iinfo(dtype)
        if rounded.size and (rounded.min() < limits.min or rounded.max() > limits.max):
            raise DataError(
                f"values of {values.min():.6g} to {values.max():.6g} need whole numbers of {rounded.min():.0f} to "
                f"{rounded.max():.0f}. Expected {limits.min} to {limits.max}: give a larger scale=, or an offset=."
            )
        return rounded.astype(dtype)


def scaling_of(scale: Any, offset: Any, window_shape: tuple[int, ...]) -> Scaling:
    """Check what the user gave.

    Raises:
        ArgumentError: they are not finite, a scale is not positive, or they do not spread over a window.
    """
    scales, offsets = np.asarray(scale, np.float32), np.asarray(offset, np.float32)
    if not np.isfinite(scales).all() or not (scales > 0).all() or not np.isfinite(offsets).all():
        raise ArgumentError(f"Received scale={scale!r}, offset={offset!r}. Expected finite ones, each scale above 0.")
    for name, array in (("scale", scales), ("offset", offsets)):
        try:
            fits = np.broadcast_shapes(array.shape, window_shape) == window_shape
        except ValueError:
            fits = False
        if not fits:
            raise ArgumentError(
                f"Received {name}= of the shape {array.shape} for windows of {window_shape}. Expected a number, or an "
                "array that spreads over a window, such as (channels, 1)."
            )
    return Scaling(scales, offsets)

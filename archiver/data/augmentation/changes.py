"""Changing the values of a window: their scale, noise, and their place in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from archiver.data.augmentation.operation import Floats, Operation, require_range, require_whole
from archiver.data.augmentation.streams import Streams, add_normals, choices, draw, uniforms
from archiver.data.buffers import BUFFERS
from archiver.errors import ArgumentError

EDGES = ("zero", "wrap")


@dataclass(frozen=True)
class Scaling(Operation):
    """Multiply a window by a factor, every factor from `low` to `high` equally likely.

    Args:
        low: the smallest factor.
        high: the largest factor.
        per_channel: one factor per channel instead of one per window.
    """

    low: float = 0.9
    high: float = 1.1
    per_channel: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range("low", self.low, 0)
        require_range("high", self.high, 0)
        if self.low > self.high:
            raise ArgumentError(f"Received low={self.low!r}, high={self.high!r}. Expected low to be at most high.")

    def change(self, batch: Floats, chosen: NDArray[np.int64], streams: Streams) -> None:
        """Multiply."""
        shares = uniforms(streams, batch.shape[1] if self.per_channel else 1, first=1)
        factors = np.ones((len(batch), shares.shape[1], 1), batch.dtype)
        factors[chosen, :, 0] = self.low + (self.high - self.low) * shares
        batch *= factors


@dataclass(frozen=True)
class GaussianNoise(Operation):
    """Add normally distributed noise, independent in every channel and sample.

    Args:
        standard_deviation: of the noise, in the units of the windows.
    """

    standard_deviation: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range("standard_deviation", self.standard_deviation, 0)

    def change(self, batch: Floats, chosen: NDArray[np.int64], streams: Streams) -> None:
        """Add the noise."""
        rows = batch.reshape(len(batch), -1)
        if len(chosen) == len(batch):
            add_normals(rows, streams, self.standard_deviation, first=1)
            return
        part = rows[chosen]
        add_normals(part, streams, self.standard_deviation, first=1)
        rows[chosen] = part


@dataclass(frozen=True)
class TimeShift(Operation):
    """Shift all channels of a window earlier or later, by up to `maximal_samples`, each shift equally likely.

    Args:
        maximal_samples: the largest shift in either direction; a shift is never longer than the window.
        edge: what stands where nothing is shifted to: "zero", or "wrap": what left at the other end.
    """

    maximal_samples: int
    edge: Literal["zero", "wrap"] = "zero"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole("maximal_samples", self.maximal_samples, 1)
        if self.edge not in EDGES:
            raise ArgumentError(f"Received edge={self.edge!r}. Expected one of {', '.join(EDGES)}.")

    def change(self, batch: Floats, chosen: NDArray[np.int64], streams: Streams) -> None:
        """Shift; positive shifts are later."""
        maximal = min(self.maximal_samples, batch.shape[2])
        shifts = choices(draw(streams, 1, first=1)[:, 0], 2 * maximal + 1) - maximal
        for number, shift in zip(chosen.tolist(), shifts.tolist(), strict=True):
            if shift:
                self._shift(batch[number], shift)

    def _shift(self, window: Floats, shift: int) -> None:
        kept = window.shape[1] - abs(shift)
        old = BUFFERS.array(window.shape, window.dtype)
        np.copyto(old, window)
        source, target = (slice(0, kept), slice(shift, None)) if shift > 0 else (slice(-shift, None), slice(0, kept))
        window[:, target] = old[:, source]
        edge = slice(0, shift) if shift > 0 else slice(kept, None)
        left = slice(kept, None) if shift > 0 else slice(0, -shift)
        window[:, edge] = 0 if self.edge == "zero" else old[:, left]

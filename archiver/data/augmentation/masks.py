"""Hiding a part of a window: a span of time, neighbouring channels, channels here and there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archiver.data.augmentation.operation import Floats, Operation, require_range, require_whole
from archiver.data.augmentation.streams import Streams, choices, draw, uniforms

DRAWS_PER_SPAN = 2


@dataclass(frozen=True)
class TimeMask(Operation):
    """Hide spans of time in all channels of a window.

    The masks of Park et al.: SpecAugment, Interspeech 2019, doi:10.21437/Interspeech.2019-2680. A span is 0 to
    `maximal_samples` long, each length equally likely, and lies anywhere in the window.

    Args:
        maximal_samples: the longest span; a span is never longer than the window.
        count: spans in each window; they may overlap.
        value: what stands there instead, in the units of the windows.
    """

    maximal_samples: int
    count: int = 1
    value: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole("maximal_samples", self.maximal_samples, 1)
        require_whole("count", self.count, 1)
        require_range("value", self.value, -np.inf)

    def change(self, batch: Floats, chosen: NDArray[np.int64], streams: Streams) -> None:
        """Hide the spans."""
        for begins, ends in _spans(streams, self.count, self.maximal_samples, batch.shape[2]):
            for number, begin, end in zip(chosen.tolist(), begins, ends, strict=True):
                batch[number, :, begin:end] = self.value


@dataclass(frozen=True)
class ChannelMask(Operation):
    """Hide neighbouring channels of a window, such as a band of frequencies (SpecAugment) or a cap's region.

    Args:
        maximal_channels: the most channels that are hidden; 0 to that many are, each number equally likely.
        value: what stands there instead, in the units of the windows.
    """

    maximal_channels: int
    value: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole("maximal_channels", self.maximal_channels, 1)
        require_range("value", self.value, -np.inf)

    def change(self, batch: Floats, chosen: NDArray[np.int64], streams: Streams) -> None:
        """Hide the channels."""
        for begins, ends in _spans(streams, 1, self.maximal_channels, batch.shape[1]):
            for number, begin, end in zip(chosen.tolist(), begins, ends, strict=True):
                batch[number, begin:end] = self.value


@dataclass(frozen=True)
class ChannelDropout(Operation):
    """Hide each channel of a window with a probability, like electrodes that lose contact.

    The other channels are not scaled up, as dropout within a network does: a lost electrode leaves the others as they
    are.

    Args:
        rate: the probability of each channel to be hidden.
        value: what stands there instead, in the units of the windows.
    """

    rate: float
    value: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range("rate", self.rate, 0, 1)
        require_range("value", self.value, -np.inf)

    def change(self, batch: Floats, chosen: NDArray[np.int64], streams: Streams) -> None:
        """Hide the channels."""
        rows, channels = np.nonzero(uniforms(streams, batch.shape[1], first=1) < self.rate)
        batch[chosen[rows], channels] = self.value


def _spans(streams: Streams, count: int, maximal: int, whole: int) -> list[tuple[list[int], list[int]]]:
    """Begins and ends of `count` spans of each stream, within `whole` places."""
    words = draw(streams, DRAWS_PER_SPAN * count, first=1)
    found = []
    for number in range(count):
        lengths = choices(words[:, DRAWS_PER_SPAN * number], min(maximal, whole) + 1)
        begins = choices(words[:, DRAWS_PER_SPAN * number + 1], whole - lengths + 1)
        found.append((begins.tolist(), (begins + lengths).tolist()))
    return found

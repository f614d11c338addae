"""`Recording`: a continuous signal of several channels, with events; what windows are cut from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.feeding.scaling import Scaling, scaling_of
from archiver.errors import DataError


@dataclass(frozen=True)
class Event:
    """Something that happened in a recording."""

    onset_seconds: float
    label: str


@dataclass(frozen=True, eq=False)
class Recording:
    """A continuous signal.

    Args:
        name: of the item it becomes, different from all others in a cache.
        signal: shape (channels, samples): an array, a memory map, or anything with `shape` and `dtype` whose
            `signal[:, begin:end]` is an array.
        sampling_rate_hz: samples per second.
        channel_names: one for each channel, or none.
        events: what windows can be cut around.
        label: of all its windows, where events do not say it: a number, a text, or an array.
        groups: to which `subject`, `recording`, `release` it belongs.
        metadata: by name, a number or text for all its windows.
        scale: for a signal of whole numbers: its values are `signal * scale + offset`; a number, or one per channel,
            shape (channels, 1).
        offset: likewise.
        source: what an archive should know of where it comes from: JSON values.
    """

    name: str
    signal: Any
    sampling_rate_hz: float
    channel_names: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    label: Any = None
    groups: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    scale: Any = None
    offset: Any = 0.0
    source: Mapping[str, Any] = field(default_factory=dict)

    def checked(self) -> Recording:
        """Itself.

        Raises:
            DataError: it is empty, or its parts do not go together.
        """
        shape = tuple(getattr(self.signal, "shape", ()))
        if len(shape) != 2 or not all(shape):  # noqa: PLR2004 - channels and samples
            raise DataError(f"Received a signal of shape {shape}. Expected (channels, samples), at least one of each.")
        if np.dtype(self.signal.dtype).kind not in "iuf":
            raise DataError(f"Received a signal of {self.signal.dtype}. Expected numbers.")
        if self.channel_names and len(self.channel_names) != shape[0]:
            raise DataError(
                f"Received {len(self.channel_names)} channel names for {shape[0]} channels. Expected as many."
            )
        if not np.isfinite(self.sampling_rate_hz) or self.sampling_rate_hz <= 0:
            raise DataError(f"Received sampling_rate_hz={self.sampling_rate_hz!r}. Expected a number above 0.")
        return self

    def scaling(self, channels: NDArray[np.int64]) -> Scaling | None:
        """What makes values of the samples of these channels; None: they are the values.

        Raises:
            DataError: the scale does not fit the channels.
        """
        if self.scale is None:
            return None
        count = self.signal.shape[0]
        found = scaling_of(self.scale, self.offset, (count, 1))
        parts = (np.broadcast_to(part, (count, 1))[channels] for part in (found.scale, found.offset))
        return Scaling(*parts)


@dataclass(frozen=True)
class RecordingSource:
    """A recording that is opened when its turn comes, in any process.

    Args:
        name: of the item.
        open: makes the recording; for several workers it must go to another process.
        groups: of the recording, known before it is opened; they are added to its own.
    """

    name: str
    open: Callable[[], Recording]
    groups: Mapping[str, str] = field(default_factory=dict)


def as_source(recording: Recording | RecordingSource) -> RecordingSource:
    """A source of a recording that is open."""
    if isinstance(recording, RecordingSource):
        return recording
    return RecordingSource(recording.name, lambda: recording, recording.groups)

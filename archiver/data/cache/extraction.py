"""Windows of a recording, a piece at a time: memory holds one piece, however long the recording is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from archiver.data.cache.recording import Recording
from archiver.errors import ArgumentError, DataError

PIECE_BYTES = 8 << 20


@dataclass(frozen=True)
class Windowing:
    """How windows are cut.

    Args:
        length_samples: of a window.
        stride_samples: from the beginning of a window to the next; None: a window's length. Not with `events`.
        channels: which ones, by name or by position from 0, in this order; None: all.
        sampling_rate_hz: that every recording must have; None: any.
        events: cut a window at each event of these labels; what a label means in training: `{"open": 0, "closed": 1}`.
            None: cut one after the other, whatever happens.
        begin_seconds: with `events`, where a window begins, from the onset; negative: before it.
        bad_windows: what to do with a window that has a value that is not finite: `"refuse"` the recording, or `"skip"`
            the window, which is counted.

    Raises:
        ArgumentError: a length below 1, or what does not go together.
    """

    length_samples: int
    stride_samples: int | None = None
    channels: tuple[str | int, ...] | None = None
    sampling_rate_hz: float | None = None
    events: Mapping[str, Any] | None = None
    begin_seconds: float = 0.0
    bad_windows: Literal["refuse", "skip"] = "refuse"

    def __post_init__(self) -> None:
        for name in ("length_samples", "stride_samples"):
            value = getattr(self, name)
            is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
            if not is_count and not (value is None and name == "stride_samples"):
                raise ArgumentError(f"Received {name}={value!r}. Expected a whole number of at least 1.")
        if self.bad_windows not in ("refuse", "skip"):
            raise ArgumentError(f'Received bad_windows={self.bad_windows!r}. Expected "refuse" or "skip".')
        if self.events is not None and self.stride_samples is not None:
            raise ArgumentError("Received events= and stride_samples=. Expected one of them.")

    def described(self) -> dict[str, Any]:
        """What a cache records of it."""
        return {
            "length_samples": self.length_samples,
            "stride_samples": self.stride_samples,
            "channels": None if self.channels is None else list(self.channels),
            "sampling_rate_hz": self.sampling_rate_hz,
            "events": None if self.events is None else dict(self.events),
            "begin_seconds": self.begin_seconds,
            "bad_windows": self.bad_windows,
        }


@dataclass(frozen=True, eq=False)
class Piece:
    """Some windows of a recording, as its signal has them, and what belongs to each."""

    windows: NDArray[Any]
    labels: Any
    begin_samples: NDArray[np.int64]


@dataclass
class Skipped:
    """What became of the windows that are not in the cache."""

    non_finite_windows: int = 0
    events_beyond_the_end: int = 0
    absent_events: list[str] = field(default_factory=list)
    first_non_finite_sample: int | None = None


def chosen_channels(recording: Recording, windowing: Windowing) -> NDArray[np.int64]:
    """The positions of the channels of a recording that are taken.

    Raises:
        DataError: it lacks one.
    """
    if windowing.channels is None:
        return np.arange(recording.signal.shape[0])
    names = {name: number for number, name in enumerate(recording.channel_names)}
    count = recording.signal.shape[0]
    found = [names.get(each, -1) if isinstance(each, str) else each for each in windowing.channels]
    lacking = [each for each, number in zip(windowing.channels, found, strict=True) if not 0 <= number < count]
    if lacking:
        has = ", ".join(recording.channel_names[:20]) or f"{count} channels without names"
        raise DataError(f"Received a recording without the channels {lacking}. It has {has}.")
    return np.array(found, np.int64)


def pieces(recording: Recording, windowing: Windowing, skipped: Skipped) -> Iterator[Piece]:
    """The windows of a recording, in order.

    Args:
        recording: checked.
        windowing: how windows are cut.
        skipped: is told of what is left out.

    Raises:
        DataError: the rate is another one, the recording is too short, or a window is not finite.
    """
    _require_rate(recording, windowing)
    channels = chosen_channels(recording, windowing)
    begins, labels = _begins(recording, windowing, skipped)
    window_bytes = len(channels) * windowing.length_samples * np.dtype(recording.signal.dtype).itemsize
    for part in _parts(begins, windowing.length_samples, max(1, PIECE_BYTES // window_bytes)):
        own = begins[part]
        windows = _cut(recording.signal, channels, own, windowing.length_samples)
        good = _good(windows, own, windowing, skipped)
        if good.any():
            yield Piece(windows[good], None if labels is None else labels[part][good], own[good])


def _require_rate(recording: Recording, windowing: Windowing) -> None:
    expected = windowing.sampling_rate_hz
    if expected is not None and not np.isclose(recording.sampling_rate_hz, expected, rtol=1e-9):
        raise DataError(
            f"Received a recording at {recording.sampling_rate_hz:g} Hz. Expected {expected:g} Hz, as all: resample it."
        )


def _begins(
    recording: Recording, windowing: Windowing, skipped: Skipped
) -> tuple[NDArray[np.int64], NDArray[Any] | None]:
    """Where the windows begin, and their labels."""
    count, length = recording.signal.shape[1], windowing.length_samples
    if count < length:
        raise DataError(f"Received a recording of {count} samples. Expected at least {length}, for one window.")
    if windowing.events is None:
        begins = np.arange(0, count - length + 1, windowing.stride_samples or length, dtype=np.int64)
        if recording.label is None:
            return begins, None
        return begins, np.broadcast_to(np.asarray(recording.label), (len(begins), *np.shape(recording.label)))
    rate, wanted = recording.sampling_rate_hz, windowing.events
    chosen = [event for event in recording.events if event.label in wanted]
    if not chosen:
        has = ", ".join(map(repr, sorted({event.label for event in recording.events})[:20])) or "none"
        raise DataError(
            f"Received a recording without the events {', '.join(map(repr, wanted))}. It has {has}. Expected at least "
            "one of the wanted: correct their names, or leave the recording out."
        )
    skipped.absent_events = sorted(set(wanted) - {event.label for event in chosen})
    onsets = [round((event.onset_seconds + windowing.begin_seconds) * rate) for event in chosen]
    inside = [0 <= onset <= count - length for onset in onsets]
    skipped.events_beyond_the_end += inside.count(False)
    begins = np.array([onset for onset, is_inside in zip(onsets, inside, strict=True) if is_inside], np.int64)
    labels = np.array([wanted[event.label] for event, is_inside in zip(chosen, inside, strict=True) if is_inside])
    order = np.argsort(begins, kind="stable")
    return begins[order], labels[order]


def _parts(begins: NDArray[np.int64], length: int, count: int) -> Iterator[slice]:
    """Windows that are read together: at most `count`, and lying close, so that little else is read with them."""
    begin = 0
    for number in range(1, len(begins) + 1):
        is_full = number - begin == count
        is_far = number < len(begins) and begins[number] - begins[number - 1] > 2 * length
        if is_full or is_far or number == len(begins):
            yield slice(begin, number)
            begin = number


def _cut(signal: Any, channels: NDArray[np.int64], begins: NDArray[np.int64], length: int) -> NDArray[Any]:
    first, last = int(begins[0]), int(begins[-1]) + length
    stretch = np.asarray(signal[:, first:last])
    if stretch.shape != (signal.shape[0], last - first):
        raise DataError(
            f"Received samples of shape {stretch.shape} from {first} to {last}: the recording is cut short."
        )
    every = np.lib.stride_tricks.sliding_window_view(stretch[channels], length, axis=1)
    return np.ascontiguousarray(every[:, begins - first].swapaxes(0, 1))


def _good(
    windows: NDArray[Any], begins: NDArray[np.int64], windowing: Windowing, skipped: Skipped
) -> NDArray[np.bool_]:
    if windows.dtype.kind != "f":
        return np.ones(len(windows), np.bool_)
    finite: NDArray[np.bool_] = np.isfinite(windows).all(axis=(1, 2))
    if not finite.all():
        first = int(begins[~finite][0])
        if windowing.bad_windows == "refuse":
            raise DataError(
                f"Received a window at sample {first} with a value that is not finite. Expected finite ones, or "
                'bad_windows="skip".'
            )
        skipped.non_finite_windows += int((~finite).sum())
        skipped.first_non_finite_sample = (
            first if skipped.first_non_finite_sample is None else (skipped.first_non_finite_sample)
        )
    return finite


def window_shape(recordings: Sequence[Recording], windowing: Windowing) -> tuple[int, int]:
    """The shape of the windows of the first of these recordings."""
    return (len(chosen_channels(recordings[0].checked(), windowing)), windowing.length_samples)

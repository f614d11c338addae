"""One recording as packed windows: made here or in a worker process, put into the cache by the process that writes it.

A worker writes the packed windows to a file, piece by piece, so that its memory does not grow with the recording.
"""

from __future__ import annotations

import struct
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.cache.chunks import Chunk, pack
from archiver.data.cache.extraction import Piece, Skipped, Windowing, chosen_channels, pieces
from archiver.data.cache.item_writer import columns_of, prepared
from archiver.data.cache.recording import Recording, RecordingSource
from archiver.data.cache.records import CacheHeader
from archiver.data.feeding.scaling import Scaling, scaling_of
from archiver.errors import ArchiverError, DataError
from archiver.storage import files

_HEAD = struct.Struct("<QI")
READ_WINDOWS = 256

Columns = dict[str, NDArray[Any]]


class Stopped(Exception):  # noqa: N818 - it is no error
    """Work ends here, and can be gone on with."""

    def __init__(self, reason: str, *, is_memory: bool = False) -> None:
        super().__init__(reason)
        self.is_memory = is_memory


@dataclass
class PackedRecording:
    """A recording that waits to be put into the cache."""

    name: str
    path: Path
    """Of its packed windows."""
    columns: list[Columns]
    scaling: Scaling | None
    maximal_error: float
    source: dict[str, Any]


@dataclass(frozen=True)
class FailedRecording:
    """A recording that cannot be taken."""

    name: str
    reason: str
    details: str | None = None
    """A traceback, where the reason is none of ours."""


@dataclass(frozen=True)
class StoppedRecording:
    """A recording in which the work was stopped."""

    name: str
    reason: str
    is_memory: bool = False


@dataclass(frozen=True, eq=False)
class PackedPiece:
    """Some windows of a recording."""

    chunks: list[Chunk]
    columns: Columns
    maximal_error: float


def packed_pieces(
    recording: Recording, windowing: Windowing, header: CacheHeader, skipped: Skipped, check: Callable[[], None]
) -> Iterator[PackedPiece]:
    """The windows of a recording as a cache stores them, a piece at a time.

    Args:
        recording: checked.
        windowing: how windows are cut.
        header: of the cache.
        skipped: is told of what is left out.
        check: called before each piece; raises `Stopped`.

    Raises:
        DataError: the recording does not fit the cache.
        Stopped: `check` said so.
    """
    check()
    own = recording.scaling(chosen_channels(recording, windowing))
    for piece in pieces(recording, windowing, skipped):
        stored, error = _stored(piece, own, header)
        yield PackedPiece(pack(stored, header.codec), _columns(piece, recording), error)
        check()


def item_scaling(recording: Recording, windowing: Windowing, header: CacheHeader) -> Scaling | None:
    """The scale and offset that a cache keeps with this recording; None where it has its own, or none.

    Raises:
        DataError: the cache needs one, and the recording has none; or the recording has other channels.
    """
    count = len(chosen_channels(recording, windowing))
    if count != header.window_shape[0]:
        raise DataError(f"Received a recording of {count} channels. Expected {header.window_shape[0]}, as all.")
    if header.scale_shape is None or header.scale is not None:
        return None
    own = recording.scaling(chosen_channels(recording, windowing))
    if own is None:
        raise DataError(
            "Received a recording without a scale. Expected one: the cache keeps the whole numbers of its recordings."
        )
    return own


def _stored(piece: Piece, own: Scaling | None, header: CacheHeader) -> tuple[NDArray[Any], float]:
    if header.scale_shape is not None and header.scale is None:
        dtype = np.dtype(header.stored_dtype)
        if not np.can_cast(piece.windows.dtype, dtype):
            raise DataError(f"Received a signal of {piece.windows.dtype}. Expected {dtype}, as the cache stores.")
        return piece.windows.astype(dtype, copy=False), 0.0
    values = piece.windows if own is None else own.applied(piece.windows)
    scaling = None if header.scale is None else scaling_of(header.scale, header.offset, header.window_shape)
    return prepared(values, header, scaling, 0)


def _columns(piece: Piece, recording: Recording) -> Columns:
    metadata = {"begin_sample": piece.begin_samples, **recording.metadata}
    return columns_of(len(piece.windows), piece.labels, recording.groups, metadata)


def opened(source: RecordingSource) -> Recording:
    """Open a recording, with the groups that were known before.

    Raises:
        DataError: it is empty, its parts do not go together, or it bears another name.
    """
    recording = source.open()
    if not isinstance(recording, Recording):
        raise DataError(f"Received {type(recording).__name__}. Expected a Recording.")
    return _with_groups(recording.checked(), source)


def _with_groups(recording: Recording, source: RecordingSource) -> Recording:
    return replace(recording, name=source.name, groups={**recording.groups, **source.groups})


def source_of(recording: Recording, skipped: Skipped) -> dict[str, Any]:
    """What a cache records of an item."""
    return {
        **recording.source,
        "sampling_rate_hz": recording.sampling_rate_hz,
        "sample_count": int(recording.signal.shape[1]),
        "skipped": asdict(skipped),
    }


def pack_recording(
    source: RecordingSource, windowing: Windowing, header: CacheHeader, path: Path, check: Callable[[], None]
) -> PackedRecording | FailedRecording | StoppedRecording:
    """Pack a recording into a file of its own; for a worker process."""
    try:
        recording, skipped = opened(source), Skipped()
        scaling = item_scaling(recording, windowing, header)
        columns, error = list[Columns](), 0.0
        with files.explained("write", path), path.open("wb") as file:
            for piece in packed_pieces(recording, windowing, header, skipped, check):
                for left_out, data in piece.chunks:
                    file.write(_HEAD.pack(len(data), left_out))
                    file.write(data)
                columns.append(piece.columns)
                error = max(error, piece.maximal_error)
        return PackedRecording(source.name, path, columns, scaling, error, source_of(recording, skipped))
    except Stopped as stop:
        return StoppedRecording(source.name, str(stop), stop.is_memory)
    except Exception as failure:  # noqa: BLE001 - whatever a user's own reader raises
        return failed(source.name, failure)


def failed(name: str, error: Exception) -> FailedRecording:
    """Why a recording cannot be taken."""
    if isinstance(error, ArchiverError):
        return FailedRecording(name, str(error))
    return FailedRecording(name, f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


def joined(columns: list[Columns]) -> Columns:
    """The columns of all pieces of a recording.

    Raises:
        DataError: pieces have other columns than the first.
    """
    if not columns:
        return {}
    if any(sorted(each) != sorted(columns[0]) for each in columns):
        raise DataError("Received pieces of a recording with different columns. Expected the same in all.")
    return {path: np.concatenate([each[path] for each in columns]) for path in columns[0]}


def packed_windows(path: Path) -> Iterator[list[Chunk]]:
    """The packed windows that a worker wrote, some at a time."""
    with files.explained("read", path), path.open("rb") as file:
        chunks: list[Chunk] = []
        while head := file.read(_HEAD.size):
            size, left_out = _HEAD.unpack(head)
            chunks.append((left_out, file.read(size)))
            if len(chunks) == READ_WINDOWS:
                yield chunks
                chunks = []
        if chunks:
            yield chunks

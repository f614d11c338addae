"""`write_window_file`: any windows into one uncompressed file, in bounded memory; what was cut off is gone on with.

The windows are appended to `<path>.partial`; every `NOTE_BYTES`, once they are on the disk, `<path>.partial.json`
notes how many there are and their digest. Whoever goes on cuts the file there, checks the digest, and compares some of
the windows with the source: what does not agree is written again.
"""

from __future__ import annotations

import glob
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.feeding.scaling import Scaling, scaling_of
from archiver.data.feeding.window_file import WindowFile, extras_of, extras_path, header_path
from archiver.data.feeding.window_header import WindowHeader
from archiver.data.windows import Windows, as_windows
from archiver.errors import ArgumentError, DataError
from archiver.storage import files
from archiver.storage.digests import canonical_json, file_digests, hasher, sha256_of
from archiver.storage.jsonable import jsonable

BATCH_BYTES = 8 << 20
NOTE_BYTES = 256 << 20
COMPARED_WINDOWS = 64


@dataclass(frozen=True)
class _Target:
    """What is written: by which type, and how exactly."""

    path: Path
    dtype: np.dtype[Any]
    scaling: Scaling | None
    maximal_error: float

    @property
    def partial(self) -> Path:
        return self.path.with_name(f"{self.path.name}.partial")


def write_window_file(
    source: Windows | NDArray[Any],
    path: str | os.PathLike[str],
    *,
    scale: Any = None,
    offset: Any = 0.0,
    dtype: Any = np.int16,
    maximal_error: float = 0.0,
) -> WindowFile:
    """Write windows one behind the other, as fast to read as the disk allows.

    Called again after it was cut off, it goes on where it was.

    Args:
        source: the windows, of numbers.
        path: the file; beside it come `<path>.npz` and `<path>.json`.
        scale: None: elements are stored as they are. Else a number, or an array that spreads over a window such as
            (channels, 1): whole numbers are stored, and what is read is `stored * scale + offset`, in float32.
        offset: with `scale`, likewise.
        dtype: with `scale`, the type of the whole numbers.
        maximal_error: with `scale`, by how much a value that is read may differ from the one that was given; 0: by
            nothing.

    Returns:
        The file, opened.

    Raises:
        ArgumentError: the file is there already, or an argument cannot be.
        DataError: a window holds a value that cannot be stored so, or not so exactly; the message names the window.
        StorageError: the file system refused, such as a full disk; what was written is gone on with.
    """
    windows, place = as_windows(source), Path(path)
    target = _target(windows, place, scale, offset, dtype=dtype, maximal_error=maximal_error)
    if os.path.lexists(place) and not os.path.lexists(header_path(place)) and _note_path(target).exists():
        files.rename(place, target.partial)  # it was killed before it wrote the header
    if os.path.lexists(header_path(place)) or os.path.lexists(place):
        raise ArgumentError(f"Received path={str(place)!r}, which is there. Open it as WindowFile, or remove it.")
    extras = extras_of(windows.labels, windows.groups)
    done, error, digest = _append(windows, target, _identity(windows, target))
    with files.explained("write", place):
        with files.replacing(extras_path(place)) as temporary, temporary.open("wb") as file:
            np.savez(file, **extras)  # type: ignore[arg-type]
        with extras_path(place).open("rb") as file:
            extras_digest = file_digests(file, ["blake3"])["blake3"]
        os.replace(target.partial, place)
    shape = (done, *windows.shape[1:])
    source_described = jsonable(windows.described())
    WindowHeader(shape, target.dtype, target.scaling, error, digest, extras_digest, source_described).write(
        header_path(place)
    )
    files.remove(_note_path(target))
    for left in place.parent.glob(f"{files.TEMPORARY_PREFIX}*-{glob.escape(place.name)}*"):
        files.remove(left)  # of a process that was killed
    return WindowFile(place)


def _target(windows: Windows, path: Path, scale: Any, offset: Any, *, dtype: Any, maximal_error: float) -> _Target:
    if windows.dtype.kind not in "iufb":
        raise DataError(f"Received windows of {windows.dtype}. Expected numbers.")
    if scale is None:
        return _Target(path, windows.dtype.newbyteorder("<"), None, 0.0)
    whole = np.dtype(dtype)
    if whole.kind not in "iu" or not 0 <= maximal_error < np.inf:
        raise ArgumentError(
            f"Received dtype={dtype!r}, maximal_error={maximal_error!r}. Expected a type of whole numbers, and a "
            "finite number of at least 0."
        )
    return _Target(path, whole.newbyteorder("<"), scaling_of(scale, offset, windows.shape[1:]), float(maximal_error))


def _identity(windows: Windows, target: _Target) -> str:
    """What must be the same for a partial file to be gone on with."""
    scaling = target.scaling
    fields = {
        "source": jsonable(windows.described()),
        "shape": list(windows.shape),
        "dtype": target.dtype.str,
        "scale": None if scaling is None else [scaling.scale.tolist(), scaling.offset.tolist()],
        "maximal_error": target.maximal_error,
    }
    return sha256_of(canonical_json(fields))


def _note_path(target: _Target) -> Path:
    return target.partial.with_name(f"{target.partial.name}.json")


@dataclass(frozen=True)
class _Note:
    """How far writing is."""

    identity: str
    done: int
    error: float
    blake3: str


def _append(windows: Windows, target: _Target, identity: str) -> tuple[int, float, str]:
    """Write what is missing; returns the number of windows, the largest error and the digest."""
    note, digest = _kept(windows, target, identity)
    count, window_bytes = windows.shape[0], _window_bytes(windows, target)
    files.require_room(target.partial, (count - note.done) * window_bytes)
    step = max(1, BATCH_BYTES // max(1, window_bytes))
    unnoted = 0
    with files.explained("write", target.partial):
        descriptor = os.open(target.partial, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            os.ftruncate(descriptor, note.done * window_bytes)
            os.lseek(descriptor, 0, os.SEEK_END)
            for begin in range(note.done, count, step):
                numbers = np.arange(begin, min(begin + step, count))
                stored, error = _stored(windows, numbers, target)
                data = stored.tobytes()
                files.write_all(descriptor, data)
                digest.update(data)
                note = replace(note, done=int(numbers[-1]) + 1, error=max(note.error, error))
                unnoted += len(data)
                if unnoted >= NOTE_BYTES:
                    os.fdatasync(descriptor)
                    _write_note(target, replace(note, blake3=digest.hexdigest()))
                    unnoted = 0
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
    _write_note(target, replace(note, blake3=digest.hexdigest()))
    return note.done, note.error, digest.hexdigest()


def _window_bytes(windows: Windows, target: _Target) -> int:
    return int(np.prod(windows.shape[1:], dtype=np.int64)) * target.dtype.itemsize


def _write_note(target: _Target, note: _Note) -> None:
    files.write_text(_note_path(target), json.dumps(vars(note)))


def _kept(windows: Windows, target: _Target, identity: str) -> tuple[_Note, Any]:
    """What an earlier process wrote and can be relied on, and a hasher of it."""
    nothing = _Note(identity, 0, 0.0, "")
    try:
        note = _Note(**json.loads(_note_path(target).read_bytes()))
        file = target.partial.open("rb")
    except (OSError, ValueError, TypeError):
        return nothing, hasher("blake3")
    window_bytes = _window_bytes(windows, target)
    with file:
        if note.identity != identity or os.fstat(file.fileno()).st_size < note.done * window_bytes:
            return nothing, hasher("blake3")
        digest, left = hasher("blake3"), note.done * window_bytes
        while left:
            data = file.read(min(left, BATCH_BYTES))
            digest.update(data)
            left -= len(data)
        if digest.hexdigest() != note.blake3 or not _agrees(windows, target, note.done, file.fileno()):
            return nothing, hasher("blake3")
    return note, digest


def _agrees(windows: Windows, target: _Target, done: int, descriptor: int) -> bool:
    """Whether some of the windows that were written are those of the source."""
    window_bytes = _window_bytes(windows, target)
    for number in np.unique(np.linspace(0, done - 1, min(done, COMPARED_WINDOWS)).astype(np.int64)):
        stored, _ = _stored(windows, np.array([number]), target)
        if os.pread(descriptor, window_bytes, int(number) * window_bytes) != stored.tobytes():
            return False
    return True


def _stored(windows: Windows, numbers: NDArray[np.int64], target: _Target) -> tuple[NDArray[Any], float]:
    """The elements as they are stored, and by how much what is read differs at most."""
    values = windows.read(numbers)
    if target.scaling is None:
        return np.ascontiguousarray(values, target.dtype), 0.0
    try:
        stored = target.scaling.stored(values, target.dtype)
    except DataError as error:
        first = _first_that_fails(values, numbers, target)
        raise DataError(f"Received window {first}, in which {error}") from None
    difference = np.abs(target.scaling.applied(stored).astype(np.float64) - values)
    largest = float(difference.max(initial=0.0))
    if largest > target.maximal_error:
        number = numbers[np.unravel_index(difference.argmax(), difference.shape)[0]]
        raise DataError(
            f"Received window {number}, of which a value would be read with a difference of {largest:.6g}. Expected at "
            f"most maximal_error={target.maximal_error:g}: give the scale and offset the values were made with, or a "
            "larger maximal_error=."
        )
    return stored, largest


def _first_that_fails(values: NDArray[Any], numbers: NDArray[np.int64], target: _Target) -> int:
    for value, number in zip(values, numbers, strict=True):
        try:
            target.scaling.stored(value, target.dtype)  # type: ignore[union-attr]
        except DataError:
            return int(number)
    return int(numbers[0])

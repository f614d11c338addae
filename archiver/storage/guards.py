"""What readers of strangers' files share: how they refuse, how they explain damage, what an entry may cost."""

from __future__ import annotations

import contextlib
import errno
import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from archiver.errors import ArchiverError, DamagedFileError, UnsafeFileError
from archiver.storage.files import explained

FREE_BYTES = 1 << 30
"""Up to here a file may declare any size; it is read in blocks, so size costs time only."""
MAXIMAL_GROWTH = 1000
"""Above `FREE_BYTES`: at most so many declared bytes for each stored one. Deflate reaches 1032 with zeros alone."""
MAXIMAL_ITEM_BYTES = 1 << 20
"""One element of a tensor: numbers take at most 32 bytes, strings of a fixed length may be longer."""
MAXIMAL_CONTENT_BYTES = 256 << 20
"""A packed tensor is unpacked into memory up to here, or up to the length of its file."""
BLOCK_BYTES = 1 << 20
"""What large tensors are read by."""

_FAILURES = (
    OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, EOFError, OverflowError, MemoryError,
    struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


@dataclass(frozen=True)
class TensorEntry:
    """What a file says of one tensor."""

    dtype: str
    """NumPy's name; bfloat16 and its like are `void16` in HDF5, and unsigned integers in our `.npz`."""
    shape: tuple[int, ...]
    item_bytes: int

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole tensor."""
        return math.prod(self.shape) * self.item_bytes


def refuse(where: str, what: str, received: object, expected: str) -> NoReturn:
    """Raise the `UnsafeFileError` that says which file, where in it, what was received and what the limit is."""
    raise UnsafeFileError(f"{where}: {what}. Received {received}. Expected {expected}.")


def check_growth(where: str, what: str, declared: int, stored: int) -> None:
    """Refuse what unpacks to far more than is there.

    Raises:
        UnsafeFileError: more than `FREE_BYTES` and more than `MAXIMAL_GROWTH` times the stored bytes.
    """
    if declared > FREE_BYTES and declared > MAXIMAL_GROWTH * stored:
        received = f"{declared} bytes declared, {stored} stored"
        refuse(where, what, received, f"at most {FREE_BYTES} bytes, or {MAXIMAL_GROWTH} times the stored ones")


def check_content(where: str, location: str, entry: TensorEntry, length: int) -> None:
    """Refuse to bring a tensor into memory that is larger than the file and than `MAXIMAL_CONTENT_BYTES`.

    Raises:
        UnsafeFileError: it is.
    """
    if entry.size_bytes > max(length, MAXIMAL_CONTENT_BYTES):
        what = f"tensor {location[-200:]!r} is far larger than the file"
        refuse(where, what, f"{entry.size_bytes} bytes", f"at most {max(length, MAXIMAL_CONTENT_BYTES)}")


def find_tensor(entries: Mapping[str, TensorEntry], where: str, location: str) -> TensorEntry:
    """The entry at `location`.

    Raises:
        DamagedFileError: there is none.
    """
    if location not in entries:
        raise DamagedFileError(f"{where}: there is no tensor at {location!r}; the file holds {len(entries)} tensors")
    return entries[location]


@contextlib.contextmanager
def reading(where: str, what: str) -> Iterator[None]:
    """Turn whatever zipfile, zlib, struct and NumPy raise on broken bytes into a `DamagedFileError`."""
    try:
        yield
    except ArchiverError:
        raise
    except _FAILURES as error:
        lines = str(error).splitlines() or [""]
        reason = f"{type(error).__name__}: {lines[0][:300]}"
        raise DamagedFileError(f"{where}: {what} cannot be read ({reason})") from error


@contextlib.contextmanager
def opened(source: Path | str | BinaryIO, where: str | None) -> Iterator[tuple[BinaryIO, str]]:
    """A file to read, and what messages call it; a path is opened and closed, a file is left open.

    Raises:
        StorageError: the path cannot be opened.
    """
    if not isinstance(source, Path | str):
        name = getattr(source, "name", None)
        yield source, where or (name if isinstance(name, str) else "the file")
        return
    with explained("read", Path(source)):
        file = Path(source).open("rb")  # noqa: SIM115 - an error of the body is not an error of opening
    with file:
        yield file, where or str(source)


class Window(io.RawIOBase):
    """A part of a file as a file of its own, read-only. A part that ends early is an error, never zeros."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self._size, self._position = file, start, size, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, in bytes from the start, the position or the end of the part."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, f"the position {base + offset} is before the start")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The position in the part."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`, up to the end of the part.

        Raises:
            EOFError: the file ends before the part does.
        """
        view = memoryview(buffer).cast("B")[: max(0, self._size - self._position)]
        self._file.seek(self._start + self._position)
        fill(self._file, view)
        self._position += len(view)
        return len(view)


def fill(file: BinaryIO, view: memoryview) -> None:
    """Read until `view` is full, a block at a time, since zipfile makes a copy of what it reads.

    Raises:
        EOFError: the file ends first.
    """
    done = 0
    while done < len(view):
        count = file.readinto(view[done : done + BLOCK_BYTES])  # type: ignore[attr-defined]
        if not count:
            raise EOFError(f"the file ends {len(view) - done} bytes early")
        done += count


def length_of(file: BinaryIO) -> int:
    """Bytes of the whole file."""
    return file.seek(0, io.SEEK_END)

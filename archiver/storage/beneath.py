"""Opening and listing what lies below a folder that a stranger filled, without ever leaving that folder.

Every component of a path is opened relative to the folder before it, and links are never followed: a link that
replaces a folder between two system calls leads nowhere. Paths are POSIX paths in UTF-8, whatever the locale.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from archiver.errors import StorageError, UnsafeFileError, UnsafePathError
from archiver.naming import DEVICES
from archiver.storage.files import explained

MAXIMAL_PATH_BYTES = 4096
MAXIMAL_DEPTH = 64
"""Folders inside folders that `walk` goes down."""
MAXIMAL_ENTRIES = 1_000_000

Kind = Literal["file", "folder", "symlink", "fifo", "socket", "device"]

_KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}

_PLAIN = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*/)*[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_DEVICE = re.compile(rf"(?:^|(?<=/)){DEVICES}(?=/|$)")
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags of `os.open` for a folder that is no link."""
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True)
class Entry:
    """One thing below a folder, not followed where it is a link."""

    path: str
    """POSIX path relative to the folder; bytes that are not UTF-8 are kept as lone surrogates (surrogateescape)."""
    kind: Kind
    size_bytes: int
    modified_ns: int
    """Nanoseconds since 1970, as the file system says."""
    link_count: int
    """Above 1 for a file: the same bytes have another name, here or elsewhere."""

    @property
    def is_utf8(self) -> bool:
        """Whether the name can be written in a manifest."""
        return not any("\ud800" <= character <= "\udfff" for character in self.path)


def relative_parts(path: str) -> tuple[str, ...]:
    """The components of a POSIX path that stays below the folder it is relative to, on every system.

    Raises:
        UnsafePathError: the path is absolute, has an empty, '.' or '..' component, a backslash, a drive letter, a
            control character or a lone surrogate, or is longer than `MAXIMAL_PATH_BYTES`.
    """
    parts = tuple(path.split("/"))
    if _PLAIN.fullmatch(path) and len(path) <= MAXIMAL_PATH_BYTES:  # nearly all are
        return parts
    reason = _why_unsafe(path, parts)
    if reason is not None:
        raise UnsafePathError(
            f"Received the path {path[:200]!r}, which {reason}. Expected a relative path such as 'models/a.keras'."
        )
    return parts


def _why_unsafe(path: str, parts: tuple[str, ...]) -> str | None:
    if not path:
        return "is empty"
    length = len(path.encode("utf-8", "surrogatepass"))
    if length > MAXIMAL_PATH_BYTES:
        return f"has {length} bytes (at most {MAXIMAL_PATH_BYTES})"
    if "\0" in path:
        return "has a NUL character"
    if path.startswith("/"):
        return "is absolute"
    if "\\" in path:
        return "has a backslash"
    if re.match("[A-Za-z]:", path):
        return "has a drive letter"
    unusual = next((part for part in parts if part in ("", ".", "..")), None)
    if unusual is not None:
        return f"has the component {unusual!r}"
    if any(unicodedata.category(character) == "Cs" for character in path):
        return "is not valid Unicode"
    if any(unicodedata.category(character) == "Cc" for character in path):
        return "has a control character"
    return None


def unportable_part(path: str) -> str | None:
    """Why some system cannot have a file of this path, or why nobody can read it right; None where all can."""
    if path.isascii() and _PLAIN.fullmatch(path) and not _DEVICE.search(path) and "./" not in f"{path}/":
        return None
    for part in path.split("/"):
        if _DEVICE.match(part):
            return f"{part!r} is the name of a device under Windows"
        if part.endswith((".", " ")):
            return f"{part!r} ends with a dot or a space, which Windows leaves out"
        if set(part) & set('<>:"|?*'):
            return f"{part!r} has a character that Windows does not allow"
        if any(unicodedata.category(character) == "Cf" for character in part):
            return f"{part!r} has a character that cannot be seen, and may turn the text around"
    return None


@contextlib.contextmanager
def opened_folder(path: Path) -> Iterator[int]:
    """A descriptor of the folder `path`, for `open_beneath` and `walk`; links on the way to it are followed.

    Raises:
        StorageError: it is not there, no folder, or not permitted.
    """
    with explained("open", path):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_beneath(root: int, path: str) -> int:
    """Open the regular file `path` below the folder `root` (a descriptor) for reading; the caller closes it.

    Raises:
        UnsafePathError: the path itself is refused, see `relative_parts`.
        UnsafeFileError: a component is a link, or what is there is no regular file (nothing of it is read).
        OSError: it is not there, or not permitted; `filename` is `path`.
    """
    return open_sized_beneath(root, path)[0]


def open_sized_beneath(root: int, path: str) -> tuple[int, int]:
    """As `open_beneath`, and how many bytes the file has."""
    *folders, name = relative_parts(path)
    descriptor = root
    try:
        for folder in folders:
            below = _step(descriptor, folder, path)
            if descriptor != root:
                os.close(descriptor)
            descriptor = below
        return _open_regular(descriptor, name, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        if descriptor != root:
            os.close(descriptor)


def _step(parent: int, name: str, path: str) -> int:
    try:
        return os.open(name.encode(), OPEN_FOLDER, dir_fd=parent)
    except OSError:
        # Opening as a folder does nothing to what is none; looking at it says what it is.
        status = os.stat(name.encode(), dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            raise _unexpected(status, "folder", name, path) from None
        raise


def _open_regular(parent: int, name: str, path: str) -> tuple[int, int]:
    # Looking first: opening a device can already do something. Looking again: it may have been replaced meanwhile.
    encoded = name.encode()
    status = os.stat(encoded, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISREG(status.st_mode):
        descriptor = os.open(encoded, _OPEN_FILE, dir_fd=parent)
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            return descriptor, status.st_size
        os.close(descriptor)
    raise _unexpected(status, "file", name, path)


def _unexpected(status: os.stat_result, kind: Kind, name: str, path: str) -> UnsafeFileError:
    return UnsafeFileError(
        f"{path!r}: {name!r} is not followed or opened. Received a {_kind(status)}. Expected a {kind}."
    )


def _kind(status: os.stat_result) -> Kind:
    return _KINDS.get(stat.S_IFMT(status.st_mode), "device")


OnUnlistable = Callable[[str, OSError], None]


def walk(root: int, on_unlistable: OnUnlistable | None = None) -> Iterator[Entry]:
    """Everything below the folder `root` (a descriptor), folders included, sorted by the bytes of the paths.

    What disappears meanwhile is left out. Links are listed, never followed.

    Args:
        root: a descriptor.
        on_unlistable: is told of a folder below `root` that cannot be opened, and the walk goes on beside it.

    Raises:
        UnsafeFileError: more than `MAXIMAL_ENTRIES` entries, or folders nested deeper than `MAXIMAL_DEPTH`.
        StorageError: a folder cannot be read.
    """
    yield from _walk(root, b"", 1, _Walking([0], on_unlistable))


@dataclass(frozen=True)
class _Walking:
    counter: list[int]
    on_unlistable: OnUnlistable | None


def _walk(folder: int, prefix: bytes, depth: int, walking: _Walking) -> Iterator[Entry]:
    # A folder stands twice: its own name yields it, and with a slash behind, where the contents sort to, goes down.
    steps: list[tuple[bytes, os.stat_result | None]] = []
    for name, status in _scan(folder, prefix, walking.counter):
        steps.append((name, status))
        if stat.S_ISDIR(status.st_mode):
            steps.append((name + b"/", None))
    for name, found in sorted(steps, key=lambda step: step[0]):
        if found is not None:
            yield _entry(prefix + name, found)
        else:
            yield from _walk_below(folder, prefix, name, depth, walking)


def _walk_below(folder: int, prefix: bytes, name: bytes, depth: int, walking: _Walking) -> Iterator[Entry]:
    if depth >= MAXIMAL_DEPTH:
        raise UnsafeFileError(
            f"{_text(prefix + name)[:200]!r}: folders are nested too deep. Received more than {depth} levels. "
            f"Expected at most {MAXIMAL_DEPTH}."
        )
    try:
        inner = _open_folder(folder, name[:-1])
    except FileNotFoundError:
        return
    except OSError as error:
        if walking.on_unlistable is None:
            raise _unlistable(prefix + name, error) from error
        walking.on_unlistable(_text(prefix + name[:-1]), error)
        return
    try:
        yield from _walk(inner, prefix + name, depth + 1, walking)
    finally:
        os.close(inner)


def _open_folder(parent: int, name: bytes) -> int:
    descriptor = os.open(name, OPEN_FOLDER, dir_fd=parent)
    try:
        os.stat(b".", dir_fd=descriptor)  # names alone can be listed of a folder that may not be entered
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _scan(folder: int, prefix: bytes, counter: list[int]) -> Iterator[tuple[bytes, os.stat_result]]:
    try:
        with os.scandir(folder) as found:
            for each in found:
                _count(prefix, counter)
                with contextlib.suppress(FileNotFoundError):
                    yield os.fsencode(each.name), each.stat(follow_symlinks=False)
    except OSError as error:
        raise _unlistable(prefix, error) from error


def _count(prefix: bytes, counter: list[int]) -> None:
    counter[0] += 1
    if counter[0] > MAXIMAL_ENTRIES:
        raise UnsafeFileError(
            f"{_text(prefix)[:200]!r}: too many files. Received more than {MAXIMAL_ENTRIES} entries. "
            f"Expected at most {MAXIMAL_ENTRIES}."
        )


def _unlistable(path: bytes, error: OSError) -> StorageError:
    return StorageError(error.errno, f"cannot list {(_text(path) or '.')!r}: {error.strerror}; check its permissions")


def _entry(path: bytes, status: os.stat_result) -> Entry:
    return Entry(_text(path), _kind(status), status.st_size, status.st_mtime_ns, status.st_nlink)


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")

"""The folder of a run, whatever it came in: the folder itself, a bag, or a zip file of either."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from archiver.archive.findings import Finding
from archiver.archive.run import find_archives, is_bag
from archiver.errors import NotAnArchiveError
from archiver.storage.bagit import PAYLOAD_PREFIX
from archiver.storage.files import explained
from archiver.storage.unpacking import unpack

Wrapping = Literal["bag", "zip"]

_SUFFIX = ".zip"
_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
"""How a zip file begins: with a member, or without any."""
_MAXIMAL_NAMES = 5


@dataclass(frozen=True)
class Unwrapped:
    """Where a run's folder lies while its wrapping is open."""

    path: str
    """What was asked for."""
    wrapping: Wrapping | None
    """What `path` is; None: the folder of a run."""
    root: Path
    """What that stands for on the disk: the folder itself, or the one a zip file was unpacked into."""
    folder: Path
    """The folder of the run."""
    bag: Path | None = None
    """The bag around it."""

    def inside(self, folder: Path) -> str:
        """Where a folder lies in what was asked for: empty, or a POSIX path with a slash behind."""
        relative = folder.relative_to(self.root).as_posix()
        return "" if relative == "." else f"{relative}/"

    def named(self, text: str) -> str:
        """`text` as a reader of what was asked for understands it: without the temporary folder."""
        return text.replace(str(self.root), self.path) if self.wrapping == "zip" else text

    def placed(self, findings: Iterable[Finding], prefix: str) -> tuple[Finding, ...]:
        """Findings with their paths in what was asked for; `prefix` is where what they speak of lies in it."""
        return tuple(
            replace(
                each,
                path=f"{prefix}{each.path}" if each.path else prefix.rstrip("/"),
                message=self.named(each.message),
            )
            for each in findings
        )


@contextlib.contextmanager
def unwrapped(path: str | os.PathLike[str]) -> Iterator[Unwrapped]:
    """The run's folder at `path`, in the bag `path` or in the zip file `path`, which is unpacked while the body runs.

    Raises:
        NotAnArchiveError: the bag or the zip file holds no run, or several.
        UnsafeFileError: the zip file asks for what unpacking must not do.
        DamagedFileError: it is no whole zip file.
        StorageError: there is no room to unpack it.
    """
    place = Path(path)
    if is_zip(place):
        with tempfile.TemporaryDirectory(prefix="archiver-") as temporary:
            yield _unpacked(place, Path(temporary, "unpacked"))
    elif is_bag(place):
        yield Unwrapped(str(place), "bag", place, _in_bag(place, str(place)), place)
    else:
        yield Unwrapped(str(place), None, place, place)


def is_zip(path: Path) -> bool:
    """Whether there is a file that begins as zip files do, or is called like one."""
    if not path.is_file():
        return False
    with explained("read", path), path.open("rb") as file:
        return file.read(4) in _SIGNATURES or path.suffix.lower() == _SUFFIX


def _unpacked(path: Path, root: Path) -> Unwrapped:
    root.mkdir()
    with explained("read", path), path.open("rb") as file:
        unpack(file, str(path), root)
    found = _only_one(root, str(path), "zip file")
    if is_bag(found):
        return Unwrapped(str(path), "zip", root, _in_bag(found, str(path)), found)
    return Unwrapped(str(path), "zip", root, found)


def _in_bag(bag: Path, asked: str) -> Path:
    """The folder of the run in a bag."""
    payload = bag / PAYLOAD_PREFIX
    found = bag if payload.is_symlink() or not payload.is_dir() else _only_one(payload, asked, "bag")
    if is_bag(found):
        raise NotAnArchiveError(f"Received {asked!r}, a bag without a run. Expected one with data/<folder of a run>.")
    return found


def _only_one(folder: Path, asked: str, what: str) -> Path:
    found = find_archives(folder)
    if len(found) == 1:
        return found[0]
    names = ", ".join(each.name for each in found[:_MAXIMAL_NAMES])
    received = f"a {what} of {len(found)} runs ({names})" if found else f"a {what} without a run"
    raise NotAnArchiveError(f"Received {asked!r}, {received}. Expected one with the folder of one run in it.")

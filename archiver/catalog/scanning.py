"""Finding the archives of a store, and which of them have changed since they were read.

Whether an archive has changed is told by the file system: sealing and finalizing replace files in its folder, and a
run that is not sealed appends to its journal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from archiver.archive.run import is_archive, is_bag
from archiver.catalog.ensembles import is_ensemble
from archiver.catalog.stamps import FRESH_NS, UNSETTLED
from archiver.layout import JOURNAL

MAXIMAL_DEPTH = 16
"""Folders inside folders that are searched for archives."""


class Scan:
    """One look through a store.

    Args:
        known: the stamp of each archive that was read before, by its path as the catalogue has it; those that are
            found are taken out, so that in the end it holds those that are gone.
        everything: archives that have not changed are to be read, too.
    """

    def __init__(self, known: dict[str, str], *, everything: bool = False) -> None:
        self.known = known
        self.ensembles: dict[str, str] = {}
        """Folder of each ensemble as it is, by its path as the catalogue has it."""
        self.found: dict[str, tuple[str, str]] = {}
        """What `changed` told: the path as the catalogue has it, and the stamp, by the path as it is."""
        self._everything = everything

    def changed(self, store: Path) -> Iterator[str]:
        """The path from the store of each archive that is new or has changed. Links are not followed."""
        yield from self._changed(os.fspath(store), "", 0)

    def _changed(self, folder: str, prefix: str, depth: int) -> Iterator[str]:
        below: list[str] = []
        take = self.known.pop
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = entry.name
                    if name.startswith(".") or not entry.is_dir(follow_symlinks=False):
                        continue
                    path = prefix + name
                    text = path if path.isascii() else catalogue_text(path)
                    before = take(text, None)
                    stamp = _stamp(entry, None if self._everything else before)
                    if stamp is None:
                        if not self._is_ensemble(entry, text, path):
                            below.append(name)
                    elif self._everything or stamp == UNSETTLED or stamp != before:
                        self.found[path] = text, stamp
                        yield path
        except OSError:  # it vanished, or may not be read
            return
        if depth < MAXIMAL_DEPTH:
            for name in sorted(below):
                yield from self._changed(f"{folder}/{name}", f"{prefix}{name}/", depth + 1)

    def _is_ensemble(self, entry: os.DirEntry[str], text: str, path: str) -> bool:
        """Whether it is an ensemble, which is noted, or a bag, which is a copy that was handed over."""
        if is_ensemble(entry.path):
            self.ensembles[text] = path
            return True
        return is_bag(Path(entry))


def catalogue_text(path: str) -> str:
    """A path as the catalogue has it: bytes of a name that are no UTF-8 are written out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _stamp(entry: os.DirEntry[str], before: str | None) -> str | None:
    """What the file system says of an archive: of its folder, and behind a bar of its journal; None: it is none.

    Args:
        entry: the folder.
        before: the stamp of when it was read; one without a bar is that of a sealed archive, whose folder tells all.
    """
    try:
        folder = entry.stat(follow_symlinks=False)
        own = f"{folder.st_ino} {folder.st_mtime_ns}"
        if own == before:
            return own
        journal = os.stat(f"{entry.path}/{JOURNAL.pattern}", follow_symlinks=False)
    except OSError:
        return UNSETTLED if is_archive(Path(entry)) else None
    if time.time_ns() - max(journal.st_mtime_ns, folder.st_mtime_ns) < FRESH_NS:
        return UNSETTLED
    return f"{own}|{journal.st_mtime_ns} {journal.st_size}"

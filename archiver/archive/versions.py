"""The runs of one name: the first, and the versions that came after it in the same folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

from archiver import layout
from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.naming import FOLDER_SUFFIX


def versions_of(run: Run) -> dict[int, Run]:
    """By version, in order, the archives of the same name beside this one, itself included; 1 is the first."""
    base, own = _base(run)
    found = {own: run}
    pattern = re.compile(rf"{re.escape(base)}(?:-([1-9][0-9]*))?{FOLDER_SUFFIX}")
    for folder in _names(run.path.parent):
        match = pattern.fullmatch(folder)
        number = int(match[1] or 1) if match else own
        if number not in found:
            other = Run(run.path.parent / folder, folder.removesuffix(FOLDER_SUFFIX))
            # A run may have been given a name that looks like a version.
            if not other.path.is_symlink() and _base(other) == (base, number):
                found[number] = other
    return dict(sorted(found.items()))


def version_of(run: Run) -> int:
    """Which version of its name a run is."""
    return _base(run)[1]


def _base(run: Run) -> tuple[str, int]:
    try:
        record = run.read_if_there(layout.RUN)
    except ArchiverError:
        record = None
    version = record.name.version if record is not None else 1
    return (run.name.removesuffix(f"-{version}") if version > 1 else run.name), version


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []

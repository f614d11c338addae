"""An archive as one zip file, the same bytes whenever and wherever it is made.

Members are stored, not compressed: what a deflated member looks like depends on the version of zlib, and the models,
which are most of an archive, hardly shrink. Sorted by the bytes of their paths, with one time and one mode.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

from archiver.archive.run import Run
from archiver.archive.verifying import require_whole
from archiver.export.output import folder_name, new_output
from archiver.storage.guards import BLOCK_BYTES
from archiver.storage.hashing import regular_files
from archiver.storage.reading import open_below
from archiver.storage.zips import plain_member


def export_zip(run: Run, output: Path) -> Path:
    """Write a sealed archive as a zip file, with the run's folder as its only top folder.

    Args:
        run: the archive.
        output: the file, which is made.

    Returns:
        `output`.

    Raises:
        ArgumentError: `output` lies in the archive.
        RunStateError: the archive is not sealed or not whole, or there is something at `output`.
        StorageError: the file system refused; nothing is left at `output`.
    """
    require_whole(run)
    folder = folder_name(run)
    with new_output(run, output) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(regular_files(run.path), key=os.fsencode):
            _add(archive, run, path, f"{folder}/{path}")
    return output


def _add(archive: zipfile.ZipFile, run: Run, path: str, name: str) -> None:
    with open_below(run.path, path) as file:
        info = plain_member(name, os.fstat(file.fileno()).st_size)
        with archive.open(info, "w") as member:
            shutil.copyfileobj(file, member, BLOCK_BYTES)

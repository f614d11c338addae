"""Where an export is written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from archiver.archive.run import Run
from archiver.errors import ArgumentError, UnsafePathError
from archiver.naming import FOLDER_SUFFIX
from archiver.storage.beneath import relative_parts
from archiver.storage.files import creating


def folder_name(run: Run) -> str:
    """What the run's folder is called in an export: as it is, or as it was, where some system could not have that."""
    name = run.path.resolve().name
    try:
        relative_parts(name)
    except UnsafePathError:
        return f"{run.name}{FOLDER_SUFFIX}"
    return name


@contextlib.contextmanager
def new_output(run: Run, output: Path) -> Iterator[Path]:
    """A temporary path for what is made of a run; it becomes `output` when the body ends well.

    Raises:
        ArgumentError: `output` lies in the archive, which would no longer be as it was sealed.
        RunStateError: something is there already.
        StorageError: the file system refused.
    """
    if output.resolve().is_relative_to(run.path.resolve()):
        raise ArgumentError(
            f"Received the output {str(output)!r}, inside of the archive. Expected a path outside of it."
        )
    with creating(output) as temporary:
        yield temporary

"""Claiming a name: one atomic `mkdir`, so that any number of processes may begin runs in one root at once."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from archiver.archive.run import Run
from archiver.collect.identity import this_process
from archiver.errors import ArchiverError, RunStateError, StorageError
from archiver.naming import RunName, folder_name
from archiver.storage import files
from archiver.storage.journal import Journal

OnExisting = Literal["version", "error"]

ROOT_VARIABLE = "ARCHIVER_ROOT"
"""An environment variable: where all runs and ensembles of the process are made, whatever it was told."""


def redirected(root: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """`root`, unless the environment sends the runs of this process elsewhere."""
    return os.environ.get(ROOT_VARIABLE) or root


def claim(
    root: Path, name: RunName, on_existing: OnExisting, *, taken: Collection[str] = (), **details: Any
) -> tuple[Run, int]:
    """Make the folder of a new run and write the first line of its journal.

    Args:
        root: the folder of the runs; made if it is not there.
        name: the name wished for; where it is taken, the next free version is claimed.
        on_existing: "error" refuses instead of claiming a version.
        taken: folders that exist elsewhere, and shall not be made here.
        details: what the journal's first line says besides name and process.

    Returns:
        The run, and its version: 1 for the first of this name.

    Raises:
        RunStateError: the name is taken, and `on_existing="error"`.
        StorageError: nothing can be written there; nothing is left behind.
    """
    version = 1
    while (folder := folder_name(name.version(version))) in taken or not files.claim_folder(root / folder):
        if on_existing == "error":
            raise RunStateError(
                f"Received the name {name.name!r}, which exists: {root / folder_name(name.name)}. "
                'Expected a free name. Choose another one, or on_existing="version".'
            )
        version += 1
    run = Run(root / folder_name(name.version(version)), name.version(version))
    try:
        journal = Journal(run.path)
        journal.append("created", name=run.name, version=version, process=this_process().model_dump(), **details)
    except StorageError:
        files.remove(run.path)
        raise
    return run, version


def unfinished_runs(root: Path, name: RunName, before_version: int) -> list[Run]:
    """Earlier versions of the name whose training was interrupted and that nobody has sealed since."""
    found: list[Run] = []
    for version in range(1, before_version):
        try:
            run = Run.open(root / folder_name(name.version(version)))
            if run.seal_id is None and run.status.status == "interrupted":
                found.append(run)
        except ArchiverError:
            continue
    return found

"""Snapshots on the disk: whole or not there, the newest two, in `models/<name>_checkpoint/snapshot-<number>/`.

A snapshot is written into a temporary folder, its manifest last; all of it is put on the disk, and the folder is
renamed. Whoever reads one checks it against its manifest, and takes the one before where it is not whole.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from archiver import layout
from archiver.archive.documents import document_bytes, parse_document
from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.records.training import SnapshotState
from archiver.storage import files
from archiver.storage.hashing import hash_files
from archiver.storage.manifests import MAXIMAL_MANIFEST_BYTES, format_manifest, parse_manifest
from archiver.storage.reading import read_below

KEPT = 2
RESUME_VARIABLE = "ARCHIVER_RESUME"
"""An environment variable: the archive that `archiver resume` goes on with."""
STATE = "state.json"
VARIABLES = "variables.npz"
MANIFEST = "manifest-sha256.txt"
MAXIMAL_STATE_BYTES = 1 << 28
_NAME = re.compile(r"snapshot-(\d{6,})")


@dataclass(frozen=True)
class Snapshot:
    """A whole snapshot on the disk."""

    state: SnapshotState
    variables: Path
    passed_over: tuple[str, ...]
    """Newer ones that are not whole, with what is wrong."""


def checkpoint_folder(run: Run) -> Path:
    """The folder of checkpoint and snapshots."""
    return run.path_of(layout.CHECKPOINT_STATE).parent


def snapshot_folders(run: Run) -> list[tuple[int, Path]]:
    """The snapshots, the newest first, by number."""
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for entry in os.scandir(checkpoint_folder(run)):
            match = _NAME.fullmatch(entry.name)
            if match and entry.is_dir(follow_symlinks=False):
                found.append((int(match[1]), Path(entry.path)))
    return sorted(found, reverse=True)


def newest_snapshot(run: Run) -> Snapshot | None:
    """The newest snapshot that is whole; None without one."""
    passed_over: list[str] = []
    for _, folder in snapshot_folders(run):
        try:
            return Snapshot(_read(folder), folder / VARIABLES, tuple(passed_over))
        except (ArchiverError, OSError) as error:
            passed_over.append(f"{folder.name}: {' '.join(str(error).split())[:300]}")
    return None


def _read(folder: Path) -> SnapshotState:
    listed, _ = parse_manifest(read_below(folder, MANIFEST, MAXIMAL_MANIFEST_BYTES), "sha256")
    sizes = {name: (folder / name).stat(follow_symlinks=False).st_size for name in (STATE, VARIABLES)}
    found = hash_files(folder, sizes, ("sha256",))
    for name in (STATE, VARIABLES):
        if listed.get(name) != found[name]["sha256"]:
            raise ArchiverError(f"{name} is not what its manifest says")
    return parse_document(read_below(folder, STATE, MAXIMAL_STATE_BYTES), SnapshotState, STATE)


@contextlib.contextmanager
def writing_snapshot(run: Run, number: int) -> Iterator[Path]:
    """A temporary folder to write `variables.npz` into, and the state with `write_state`; it becomes the snapshot when
    the body ends well, and is removed when it raises. Older snapshots than the one before are removed.

    Raises:
        StorageError: the file system refused.
    """
    target = checkpoint_folder(run) / f"snapshot-{number:06d}"
    temporary = files.temporary_name(target)
    try:
        with files.explained("write", target):
            os.makedirs(temporary, exist_ok=True)
            yield temporary
            _seal(temporary)
            files.rename(temporary, target)
            _flush(target.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    for _, old in snapshot_folders(run)[KEPT:]:
        files.remove(old)


def write_state(run: Run, folder: Path, state: SnapshotState) -> None:
    """Write the state of the snapshot that is being written into `folder`."""
    path = f"{layout.CHECKPOINT_STATE.path(run.name).rpartition('/')[0]}/snapshot-{state.number:06d}/{STATE}"
    reference = layout.schema_reference(path, state.KIND)
    files.write_bytes(folder / STATE, document_bytes(state.model_copy(update={"schema_reference": reference})))


def _seal(folder: Path) -> None:
    sizes = {name: (folder / name).stat().st_size for name in (STATE, VARIABLES)}
    digests = hash_files(folder, sizes, ("sha256",))
    files.write_bytes(folder / MANIFEST, format_manifest({name: digests[name]["sha256"] for name in sizes}))
    for name in (STATE, VARIABLES, MANIFEST, "."):
        _flush(folder / name)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_snapshots(run: Run) -> None:
    """Remove all of them: the training has ended, and the checkpoint holds what it left.

    Raises:
        StorageError: the file system refused.
    """
    for _, folder in reversed(snapshot_folders(run)):
        files.remove(folder)

"""Copying the source of a run into its archive, byte for byte: the copies are what is run again."""

from __future__ import annotations

import json
import os
import re
import stat
import unicodedata
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from archiver.collect.command import recordable
from archiver.collect.notebook import TypedCells, cell_script, typed_cells
from archiver.collect.redaction import is_secret_name, redact_json, redact_text
from archiver.collect.source_files import (
    Snapshot,
    SourceFile,
    entry_file,
    find_source,
    project_root,
    take_snapshot,
    zip_file_of,
)
from archiver.errors import StorageError
from archiver.layout import SOURCE_FILES
from archiver.records.base import Unavailable, utc_now
from archiver.records.source import LeftOutPart, NotebookPart, SourceFilePart, SourceRecord
from archiver.storage import files
from archiver.storage.digests import sha256_of

__all__ = ["SourceLimits", "copy_source", "entry_file", "find_source", "project_root"]

CELLS = "notebook_cells.py"
"""Where the cells of a notebook go, in the folder of the copies."""

OUTSIDE = "outside"
"""Folder of the copies whose originals lie outside the root. They are named by module, so that it serves as an entry of
PYTHONPATH."""

MAXIMAL_LISTED = 1000

_SETTINGS_SUFFIXES = frozenset((".cfg", ".ini", ".sh", ".toml", ".yaml", ".yml"))
_SETTING = re.compile(
    r"^[ \t]*(?:export[ \t]+)?[\"']?([A-Za-z_][\w.-]*)[\"']?[ \t]*[:=][ \t]*[\"']?([^\s\"'#]+)", re.MULTILINE
)
_NO_SECRET = re.compile(
    r"[\^~<>=!*]*(?:\d{1,4}(?:\.[\d.*]+)?)?|true|false|yes|no|null|none|[$<{[|&%(].*", re.IGNORECASE
)


@dataclass(frozen=True)
class SourceLimits:
    """What is copied at most."""

    file_bytes: int = 1 << 20
    total_bytes: int = 20 << 20
    files: int = 2000


@dataclass
class _Copying:
    """The state of one copying."""

    root: Path
    archive: Path
    limits: SourceLimits
    copied: list[SourceFilePart] = field(default_factory=list)
    left_out: list[LeftOutPart] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    total_bytes: int = 0


def copy_source(
    archive_folder: Path,
    folder: Path | None = None,
    limits: SourceLimits | None = None,
    snapshot: Snapshot | None = None,
) -> SourceRecord:
    """Copy the entry script or the cells of the notebook, the imported local modules and untracked source files to
    `environment/source/` of the archive.

    Args:
        archive_folder: the archive.
        folder: where to look for the repository when nothing was started from a file; the current folder by default.
        limits: what is copied at most.
        snapshot: what was running when the training began; now by default.

    A file that is too large, looks like it holds a secret, or cannot be read or written, is listed with the reason.
    """
    snapshot = snapshot or take_snapshot(folder)
    script = snapshot.entry if isinstance(snapshot.entry, Path) else None
    root = project_root(script, snapshot.folder)
    state = _Copying(root, archive_folder, limits or SourceLimits())
    notebook = None if snapshot.cells is None else _write_cells(state, snapshot.cells)
    for file in find_source(script, root, snapshot.modules):
        if not file.path.is_relative_to(archive_folder.absolute()):
            _take(state, file)
    return SourceRecord(
        collected=utc_now(),
        root=recordable(str(root)),
        entry=_entry_path(state, snapshot.entry),
        notebook=notebook,
        files=tuple(state.copied),
        total_bytes=state.total_bytes,
        left_out=tuple(state.left_out[:MAXIMAL_LISTED]),
        left_out_count=len(state.left_out),
    )


def with_later_cells(archive_folder: Path, record: SourceRecord) -> SourceRecord | None:
    """The record with the cells that a notebook has run since, which are written; None where there are none.

    Only where the cells go on from those that are there: a kernel that was started anew has others.
    """
    cells, notebook = typed_cells(), record.notebook
    if cells is None or notebook is None or not isinstance(notebook.cells, str):
        return None
    script, path = cell_script(cells), archive_folder / notebook.cells
    data, before = script.text.encode("utf-8", "backslashreplace"), path.read_bytes()
    if data == before or not data.startswith(before.rstrip()):
        return None
    files.write_bytes(path, data)
    part = {"size_bytes": len(data), "sha256": sha256_of(data)}
    parts = tuple(each.model_copy(update=part) if each.role == "cells" else each for each in record.files)
    told = {"cell_count": len(cells.sources), "left_out_count": script.left_out, "redacted": script.redacted}
    return record.model_copy(
        update={
            "files": parts,
            "notebook": notebook.model_copy(update=told),
            "total_bytes": sum(each.size_bytes for each in parts),
        }
    )


def _write_cells(state: _Copying, cells: TypedCells) -> NotebookPart:
    script = cell_script(cells)
    path = SOURCE_FILES.pattern.replace("*", CELLS)
    original = cells.notebook if isinstance(cells.notebook, str) else "(cells of IPython)"
    try:
        data = script.text.encode("utf-8", "backslashreplace")
        files.write_bytes(state.archive / path, data)
        _note_copied(state, SourceFile(Path(CELLS), "cells"), CELLS, original, data)
        written: str | Unavailable = path
    except StorageError as error:
        written = Unavailable(unavailable=_refused(error))
    return NotebookPart(
        cells=written,
        cell_count=len(cells.sources),
        left_out_count=script.left_out,
        redacted=script.redacted,
        notebook=cells.notebook,
    )


def _entry_path(state: _Copying, entry: Path | Unavailable) -> str | Unavailable:
    started = {part.role: part.path for part in reversed(state.copied) if part.role in ("entry", "cells")}
    if started:
        return started.get("entry") or started["cells"]
    if isinstance(entry, Unavailable):
        return entry
    reason = next((part.reason for part in state.left_out if part.role == "entry"), "")
    return Unavailable(unavailable=f"it was left out: {reason}")


def _take(state: _Copying, file: SourceFile) -> None:
    relative = _relative(file.path, state.root)
    original = recordable(relative or str(file.path)) + ("/" if file.path.is_dir() else "")
    size: int | Unavailable = Unavailable(unavailable="it was not read")
    reason = file.left_out
    try:
        if reason is None:
            target = relative or _outside_name(file)
            size = _size(file.path)
            data = _read(file.path, state.limits.file_bytes)
            reason = _why_left_out(state, target, data)
        if reason is None:
            files.write_bytes(state.archive / SOURCE_FILES.pattern.replace("*", target), data)
            _note_copied(state, file, target, original, data)
            return
    except _TooLargeError as error:
        reason = str(error)
    except StorageError as error:
        reason = _refused(error)
    except (OSError, zipfile.BadZipFile, KeyError, RuntimeError, NotImplementedError) as error:
        reason = f"it cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}"
    state.left_out.append(
        LeftOutPart(original_path=original, role=file.role, module=file.module, size_bytes=size, reason=reason)
    )


def _refused(error: StorageError) -> str:
    return f"it could not be written: {os.strerror(error.errno) if error.errno else 'the file system refused'}"


def _note_copied(state: _Copying, file: SourceFile, target: str, original: str, data: bytes) -> None:
    state.taken.add(_folded(target))
    state.total_bytes += len(data)
    state.copied.append(
        SourceFilePart(
            path=SOURCE_FILES.pattern.replace("*", target),
            original_path=original,
            role=file.role,
            module=file.module,
            size_bytes=len(data),
            sha256=sha256_of(data),
        )
    )


class _TooLargeError(Exception):
    pass


def _size(path: Path) -> int:
    outer = None if path.exists() else zip_file_of(path)
    if outer is None:
        return os.stat(path).st_size
    with zipfile.ZipFile(outer) as program:
        return program.getinfo(path.relative_to(outer).as_posix()).file_size


def _read(path: Path, maximal_bytes: int) -> bytes:
    outer = None if path.exists() else zip_file_of(path)
    data = _read_file(path, maximal_bytes) if outer is None else _read_member(outer, path, maximal_bytes)
    if len(data) > maximal_bytes:
        raise _TooLargeError(f"it is larger than {maximal_bytes} bytes")
    return data


def _read_member(outer: Path, path: Path, maximal_bytes: int) -> bytes:
    with zipfile.ZipFile(outer) as program, program.open(path.relative_to(outer).as_posix()) as file:
        return file.read(maximal_bytes + 1)


def _read_file(path: Path, maximal_bytes: int) -> bytes:
    # O_NONBLOCK: a named pipe would otherwise be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is no regular file")
        return file.read(maximal_bytes + 1)


def _why_left_out(state: _Copying, target: str, data: bytes) -> str | None:
    limits = state.limits
    if not _is_portable(target):
        return "its name cannot stand in a manifest"
    if _folded(target) in state.taken:
        return "its name differs from that of another file in case or form only"
    if len(state.copied) >= limits.files:
        return f"{limits.files} files are copied already"
    if state.total_bytes + len(data) > limits.total_bytes:
        return f"with it the copies would be larger than {limits.total_bytes} bytes"
    if os.path.splitext(target)[1] in (".pyc", ".so", ".pyd", ".dylib"):
        return "it is compiled"
    if looks_secret(target, data):
        return "it looks like it holds a secret"
    return None


def looks_secret(name: str, data: bytes) -> bool:
    """Whether a token or the like stands in a source file; in settings and JSON also whether a secret name has a
    value."""
    text = data.decode("utf-8", "replace")
    if redact_text(text) != text:
        return True
    suffix = os.path.splitext(name)[1].lower()
    if suffix in _SETTINGS_SUFFIXES:
        return any(is_secret_name(key) and not _NO_SECRET.fullmatch(value) for key, value in _SETTING.findall(text))
    if suffix == ".json":
        try:
            value = json.loads(text)
            return bool(redact_json(value) != value)
        except (ValueError, RecursionError):
            return False
    return False


def _relative(path: Path, root: Path) -> str | None:
    for inner, outer in ((path, root), (Path(os.path.realpath(path)), Path(os.path.realpath(root)))):
        if inner.is_relative_to(outer):
            return inner.relative_to(outer).as_posix()
    return None


def _outside_name(file: SourceFile) -> str:
    parts = (file.module or "").split(".")
    if file.path.name == "__init__.py":
        return PurePosixPath(OUTSIDE, *parts, file.path.name).as_posix()
    is_plain = parts[-1] == file.path.stem
    return PurePosixPath(OUTSIDE, *(parts[:-1] if is_plain else ()), file.path.name).as_posix()


def _is_portable(path: str) -> bool:
    return path.isprintable() and "\\" not in path and ".." not in path.split("/")


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()

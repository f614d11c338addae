"""Every change archiver makes to a file goes through here: whole or not at all, and an error that names the file.

A process that is killed needs `write` only (the kernel keeps what was written); flushing to the disk, for a power
loss, is left to `flush_in_background`.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from archiver.errors import RunStateError, StorageError

TEMPORARY_PREFIX = ".tmp-"


@contextlib.contextmanager
def explained(action: str, path: Path) -> Iterator[None]:
    """Turn an `OSError` of the body into a `StorageError` that says what could not be done, where and why."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = "free space and try again" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "check the path"
        raise StorageError(error.errno, f"cannot {action} {path}: {reason}; {remedy}") from error


def temporary_name(path: Path) -> Path:
    """Where a file is written before it is renamed to `path`; the suffix stays, since Keras looks at it."""
    return path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{path.name}")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to; it becomes `path` when the body ends well, and is removed when it raises."""
    temporary = temporary_name(path)
    try:
        with explained("write", path):
            os.makedirs(path.parent, exist_ok=True)
            yield temporary
            os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def creating(path: Path) -> Iterator[Path]:
    """A temporary path for a new file or folder; it becomes `path` when the body ends well, and is removed otherwise.

    Raises:
        RunStateError: something is there already, which is left alone.
        StorageError: the file system refused.
    """
    _require_absent(path)
    temporary = temporary_name(path)
    try:
        with explained("write", path):
            os.makedirs(path.parent, exist_ok=True)
            yield temporary
            _publish(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            remove(temporary)
        raise


def _require_absent(path: Path) -> None:
    if os.path.lexists(path):
        raise RunStateError(f"{path} is there already; it is never overwritten: remove it, or name another path.")


def _publish(temporary: Path, path: Path) -> None:
    """Rename to a path that nothing has; a hard link tells at once that another process was faster, where there are
    such links."""
    if not temporary.is_dir():
        try:
            os.link(temporary, path)
        except FileExistsError:
            _require_absent(path)
        except OSError:
            pass
        else:
            os.unlink(temporary)
            return
    _require_absent(path)
    os.rename(temporary, path)


def require_room(path: Path, needed_bytes: int) -> None:
    """Refuse before something is written that could not end well on a full disk.

    Raises:
        StorageError: fewer than `needed_bytes` are free where `path` lies.
    """
    with explained("write", path):
        os.makedirs(path.parent, exist_ok=True)
        found = os.statvfs(path.parent)
        if found.f_bavail * found.f_frsize < needed_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_bytes(path: Path, data: bytes) -> None:
    """Write `path` whole or not at all.

    Raises:
        StorageError: the file system refused.
    """
    with replacing(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            write_all(descriptor, data)
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_all(descriptor: int, data: bytes) -> None:
    """`os.write` until everything is written."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def append_bytes(path: Path, data: bytes) -> None:
    """Append with one `write`, so that a kill leaves either all of it or nothing.

    Raises:
        StorageError: the file system refused; a part that was written is taken back.
    """
    with explained("append to", path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            length = os.fstat(descriptor).st_size
            try:
                write_all(descriptor, data)
            except OSError:
                os.ftruncate(descriptor, length)
                raise
        finally:
            os.close(descriptor)


def copy_file(source: Path, target: Path) -> None:
    """Copy the bytes of `source`, whole or not at all."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def rename(source: Path, target: Path) -> None:
    """Rename within one file system, replacing `target`."""
    with explained("rename", source):
        os.replace(source, target)


def remove(path: Path) -> None:
    """Remove a file or a whole folder; what is not there is fine."""
    with explained("remove", path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def claim_folder(path: Path) -> bool:
    """Make the folder atomically. True: it is ours. False: somebody else was there first.

    Raises:
        StorageError: it cannot be made at all.
    """
    with explained("create", path):
        os.makedirs(path.parent, exist_ok=True)
        try:
            os.mkdir(path)
        except FileExistsError:
            return False
        return True


def remove_temporaries(root: Path) -> None:
    """Remove what an interrupted write left behind."""
    for path in root.rglob(f"{TEMPORARY_PREFIX}*"):
        remove(path)


def remove_empty_folders(root: Path) -> None:
    """Remove the folders below `root` that hold nothing, such as one whose only file could not be written."""
    with explained("clean up", root):
        for folder, _, _ in os.walk(root, topdown=False):
            if Path(folder) != root and not os.listdir(folder):
                os.rmdir(folder)


def flush_in_background(path: Path) -> None:
    """Ask the kernel to put the file system of `path` on the disk, without waiting (one `syncfs`, else `sync`)."""
    with contextlib.suppress(RuntimeError):  # at the end of the interpreter, threads may be refused
        threading.Thread(target=_flush, args=(path,), name="archiver-flush", daemon=True).start()


def _flush(path: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            syncfs = getattr(ctypes.CDLL(None), "syncfs", None)
            if syncfs is None:
                os.sync()
            else:
                syncfs(descriptor)
        finally:
            os.close(descriptor)

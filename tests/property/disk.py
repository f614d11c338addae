"""A disk that stops working at a chosen change of a file: killed there, full from there on, or failing once."""

import errno
import os
import shutil
from collections.abc import Sequence
from types import ModuleType, TracebackType
from typing import Any, Literal

import pytest

from archiver.storage import files, journal

Stop = Literal["kill", "torn", "full", "full_once", "broken_once"]
"""`kill`: nothing happens from there on. `torn`: the same, after half of a write. `full`: no room from there on, but
files can be removed and renamed. `full_once`, `broken_once`: that one change fails, with ENOSPC or EIO."""

STOPS: tuple[Stop, ...] = ("kill", "torn", "full", "full_once", "broken_once")

_CHANGES = ("makedirs", "mkdir", "rmdir", "unlink", "replace", "write", "pwrite", "ftruncate", "truncate", "open")
NEED_ROOM = ("makedirs", "mkdir", "write", "pwrite", "open", "copyfile")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def stop_points(changes: list[str], stop: Stop) -> list[int]:
    """Where in a row of changes a stop makes a difference, counted from 1."""
    wanted = {"torn": ("write", "pwrite"), "full": NEED_ROOM, "full_once": NEED_ROOM}.get(stop)
    return [at for at, name in enumerate(changes, start=1) if wanted is None or name in wanted]


class Killed(BaseException):
    """What a process that is killed does not live to see."""


class Disk:
    """While it is entered, archiver changes files through it. A kill ends the block, and `was_killed` says so.

    `modules` are those whose `os` is replaced.
    """

    def __init__(self, stop: Stop | None = None, at: int = 0, modules: Sequence[ModuleType] = (files, journal)) -> None:
        self.stop = stop
        self.at = at
        self.modules = modules
        self.changes: list[str] = []
        """Names of the functions that changed a file, in order; the last one may not have come to its end."""
        self.was_killed = False

    def __enter__(self) -> "Disk":
        self._patch = pytest.MonkeyPatch()
        for module in self.modules:
            self._patch.setattr(module, "os", _Proxy(self, os, _CHANGES))
        self._patch.setattr(files, "shutil", _Proxy(self, shutil, ("copyfile", "rmtree")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._patch.undo()
        # A library in between may have made another error of the kill.
        self.was_killed = isinstance(error, Killed) or (error is not None and self._has_killed)
        return self.was_killed

    @property
    def _has_killed(self) -> bool:
        return self.stop in ("kill", "torn") and len(self.changes) >= self.at

    def change(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        """One change of a file."""
        self.changes.append(name)
        if self.stop is None or len(self.changes) < self.at:
            return function(*args, **kwargs)
        is_first = len(self.changes) == self.at
        if self.stop in ("kill", "torn"):
            if self.stop == "torn" and is_first:
                self._write_half(name, args)
            raise Killed
        if not (is_first or self.stop == "full") or (self.stop == "full" and name not in NEED_ROOM):
            return function(*args, **kwargs)
        self._write_half(name, args)
        code = errno.EIO if self.stop == "broken_once" else errno.ENOSPC
        raise OSError(code, os.strerror(code))

    @staticmethod
    def _write_half(name: str, args: Any) -> None:
        if name == "write":
            descriptor, data = args
            os.write(descriptor, data[: len(data) // 2])
        elif name == "pwrite":
            descriptor, data, offset = args
            os.pwrite(descriptor, data[: len(data) // 2], offset)


class _Proxy:
    """A module, some of whose functions go through the disk."""

    def __init__(self, disk: Disk, module: Any, changes: tuple[str, ...]) -> None:
        self._disk, self._module, self._changes = disk, module, changes

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._module, name)
        if name not in self._changes:
            return function

        def through_the_disk(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and not args[1] & _WRITING:
                return function(*args, **kwargs)
            return self._disk.change(name, function, args, kwargs)

        return through_the_disk

"""A disk that stops working at a chosen change of a file: killed there, full from there on, or failing once."""

import errno
import os
import shutil
from types import TracebackType
from typing import Any, Literal

import pytest

from archiver.storage import files, journal

Stop = Literal["kill", "torn", "full", "full_once", "broken_once"]
"""`kill`: nothing happens from there on. `torn`: the same, after half of a write. `full`: no room from there on, but
files can be removed and renamed. `full_once`, `broken_once`: that one change fails, with ENOSPC or EIO."""

STOPS: tuple[Stop, ...] = ("kill", "torn", "full", "full_once", "broken_once")

_CHANGES = ("makedirs", "mkdir", "rmdir", "unlink", "replace", "write", "ftruncate", "truncate", "open")
_NEED_ROOM = ("makedirs", "mkdir", "write", "open", "copyfile")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Killed(BaseException):
    """What a process that is killed does not live to see."""


class Disk:
    """While it is entered, archiver changes files through it; `changes` counts how often."""

    def __init__(self, stop: Stop | None = None, at: int = 0) -> None:
        self.stop = stop
        self.at = at
        self.changes = 0

    def __enter__(self) -> "Disk":
        self._patch = pytest.MonkeyPatch()
        for module in (files, journal):
            self._patch.setattr(module, "os", _Proxy(self, os, _CHANGES))
        self._patch.setattr(files, "shutil", _Proxy(self, shutil, ("copyfile", "rmtree")))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        self._patch.undo()
        return isinstance(error, Killed)

    def change(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        """One change of a file."""
        self.changes += 1
        if self.stop is None or self.changes < self.at:
            return function(*args, **kwargs)
        is_first = self.changes == self.at
        if self.stop in ("kill", "torn"):
            if self.stop == "torn" and is_first:
                self._write_half(name, args)
            raise Killed
        if not (is_first or self.stop == "full") or (self.stop == "full" and name not in _NEED_ROOM):
            return function(*args, **kwargs)
        self._write_half(name, args)
        code = errno.EIO if self.stop == "broken_once" else errno.ENOSPC
        raise OSError(code, os.strerror(code))

    @staticmethod
    def _write_half(name: str, args: Any) -> None:
        if name == "write":
            descriptor, data = args
            os.write(descriptor, data[: len(data) // 2])


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

"""The Python interpreter."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Literal

from archiver.collect.command import recordable
from archiver.records.base import Json, Unavailable
from archiver.records.environment import PythonPart


def collect_python() -> PythonPart:
    """The interpreter that runs this, its paths and its switches."""
    return PythonPart(
        version=platform.python_version(),
        build=sys.version,
        implementation=platform.python_implementation(),
        compiler=platform.python_compiler(),
        executable=recordable(sys.executable) if sys.executable else Unavailable(unavailable="Python is embedded"),
        prefix=recordable(sys.prefix),
        base_prefix=recordable(sys.base_prefix),
        path=tuple(recordable(entry) for entry in sys.path if isinstance(entry, str)),
        flags=_flags(),
        options={str(name): value for name, value in sys._xoptions.items()},  # noqa: SLF001 - documented so
        hash_seed=_hash_seed(),
        recursion_limit=sys.getrecursionlimit(),
        byte_order=sys.byteorder,
        global_interpreter_lock=_has_lock(),
    )


def _flags() -> dict[str, Json]:
    names = (name for name in dir(sys.flags) if not name.startswith(("_", "n_")) and name not in ("count", "index"))
    return {name: getattr(sys.flags, name) for name in names}


def _hash_seed() -> int | Literal["random"]:
    if not sys.flags.hash_randomization:
        return 0
    seed = "" if sys.flags.ignore_environment else _first_environment("PYTHONHASHSEED")
    return int(seed) if seed.isdecimal() else "random"


def _first_environment(name: str) -> str:
    """A variable as it was when the process began: programs set PYTHONHASHSEED too late, when it has no effect."""
    try:
        variables = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return os.environ.get(name, "")
    prefix = name.encode() + b"="
    return next((each.removeprefix(prefix).decode() for each in variables if each.startswith(prefix)), "")


def _has_lock() -> bool:
    is_enabled = getattr(sys, "_is_gil_enabled", None)
    return True if is_enabled is None else bool(is_enabled())

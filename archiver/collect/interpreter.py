"""The Python interpreter."""

from __future__ import annotations

import locale
import os
import platform
import sys
from pathlib import Path
from typing import Literal

from archiver.collect.command import recordable
from archiver.collect.redaction import redact_json, redact_text
from archiver.records.base import Json, Unavailable
from archiver.records.environment import PythonPart


def collect_python() -> PythonPart:
    """The interpreter that runs this, its paths and its switches."""
    return PythonPart(
        version=platform.python_version(),
        implementation=platform.python_implementation(),
        executable=recordable(sys.executable) if sys.executable else Unavailable(unavailable="Python is embedded"),
        virtual_environment=_environment_kind(),
        environment_name=_environment_name(),
        prefix=recordable(sys.prefix),
        base_prefix=recordable(sys.base_prefix),
        path=tuple(recordable(entry) for entry in sys.path if isinstance(entry, str)),
        user_site=bool(getattr(sys.modules.get("site"), "ENABLE_USER_SITE", False)),
        customized_by=tuple(name for name in ("sitecustomize", "usercustomize") if _has_file(sys.modules.get(name))),
        build=sys.version,
        compiler=platform.python_compiler(),
        flags=_flags(),
        options=redact_json(dict(sys._xoptions)),  # noqa: SLF001 - documented so
        hash_seed=_hash_seed(),
        warning_options=tuple(redact_text(str(option)) for option in sys.warnoptions),
        recursion_limit=sys.getrecursionlimit(),
        byte_order=sys.byteorder,
        global_interpreter_lock=_has_lock(),
        traced=sys.gettrace() is not None or sys.getprofile() is not None,
        text_encoding=locale.getpreferredencoding(False),
        locale=locale.setlocale(locale.LC_ALL),
    )


def _environment_kind() -> Literal["venv", "conda"] | None:
    if sys.prefix != sys.base_prefix:
        return "venv"
    return "conda" if os.path.isdir(os.path.join(sys.prefix, "conda-meta")) else None


def _environment_name() -> str | None:
    """CONDA_DEFAULT_ENV is that of the shell, which need not be the one of this Python."""
    kind = _environment_kind()
    if kind is None:
        return None
    if kind == "conda" and os.path.realpath(os.environ.get("CONDA_PREFIX", "")) == os.path.realpath(sys.prefix):
        return recordable(os.environ.get("CONDA_DEFAULT_ENV") or os.path.basename(sys.prefix))
    return recordable(os.path.basename(sys.prefix))


def _has_file(module: object) -> bool:
    return getattr(module, "__file__", None) is not None


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

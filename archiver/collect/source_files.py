"""Which files are the source of a run: what was started, what it imported, what git does not know yet."""

from __future__ import annotations

import os
import re
import site
import stat
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from archiver.collect.command import is_interactive, parse_command
from archiver.collect.git import repository_root, untracked_files
from archiver.collect.git_commands import GitRefusedError
from archiver.collect.redaction import is_secret_name
from archiver.records.base import Unavailable
from archiver.records.source import SourceRole

SOURCE_SUFFIXES = frozenset((".py", ".ipynb", ".toml", ".cfg", ".ini", ".yaml", ".yml", ".json", ".txt", ".md", ".sh"))
_CODE_SUFFIXES = frozenset((".py", ".ipynb", ".sh", ".md"))
_SECRET_FILES = frozenset(("kaggle", "netrc", "pgpass", "pypirc", "htpasswd", "service-account", "service_account"))
_ARCHIVER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_INSTALLED = re.compile(r"[/\\](?:site|dist)-packages[/\\]")


@dataclass(frozen=True)
class SourceFile:
    """A file that belongs to the source."""

    path: Path
    """Absolute."""
    role: SourceRole
    module: str | None = None


_GENERATED = "__autograph_generated_file"
"""TensorFlow's own rewritings of functions, in the folder of temporary files, named anew each time."""


def entry_file() -> Path | Unavailable:
    """The file that was started, or why there is none."""
    main = sys.modules.get("__main__")
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    if isinstance(file, str) and file.startswith("<"):  # <stdin>
        file = None
    if "ipykernel" in sys.modules and file is None:
        return Unavailable(unavailable="the run was started in a notebook: its cells are not known to be in any file")
    if file is None and parse_command(sys.orig_argv).start == "code":
        return Unavailable(unavailable="Python was given the code with -c: it stands in the run's command")
    if file is None and is_interactive():
        return Unavailable(unavailable="the run was started at a prompt: what was typed is in no file")
    if file is None:
        return Unavailable(unavailable="Python was not started with a file")
    path = Path(os.path.abspath(file))
    if not path.is_file():
        return Unavailable(unavailable=f"the file that was started is not there: {path.name}")
    if is_installed(str(path)):
        name = spec.name if spec is not None else path.name
        return Unavailable(unavailable=f"the run was started by the installed program {name}")
    return path


def project_root(entry: Path | None, folder: Path) -> Path:
    """The top of the repository that holds the entry script (without one: `folder`); else the script's folder.

    A repository of the whole home folder or of the whole file system is no project.
    """
    start = entry.parent if entry is not None else folder
    root = repository_root(start)
    return start.absolute() if root is None or _is_too_wide(root) else root


def _is_too_wide(root: Path) -> bool:
    return root == Path(root.anchor) or os.path.realpath(root) == os.path.realpath(os.path.expanduser("~"))


def find_source(entry: Path | None, folder: Path) -> list[SourceFile]:
    """The entry script, then the local modules that are imported at this moment, then the untracked source files of
    the repository `folder` is the top of; each file once, in the order of their paths within a role.

    Local is what is neither in the standard library nor installed nor archiver itself.
    """
    found: dict[str, SourceFile] = {}
    if entry is not None:
        spec = getattr(sys.modules.get("__main__"), "__spec__", None)
        found[os.path.realpath(entry)] = SourceFile(entry.absolute(), "entry", spec.name if spec else None)
    untracked = (SourceFile(path, "untracked") for path in _untracked(folder))
    for file in (*sorted(_modules(), key=lambda each: str(each.path)), *untracked):
        found.setdefault(os.path.realpath(file.path), file)
    return list(found.values())


def is_installed(path: str) -> bool:
    """Whether a path lies in the standard library, among installed packages or programs, or in archiver itself."""
    return _INSTALLED.search(path) is not None or path.startswith(_installed_folders())


def _installed_folders() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib", "scripts")
    folders = {sysconfig.get_path(name) for name in names} | {site.getusersitepackages(), *site.getsitepackages()}
    folders |= {os.path.dirname(os.__file__), _ARCHIVER}
    either = {folder for each in folders if each for folder in (os.path.abspath(each), os.path.realpath(each))}
    return tuple(f"{folder}{os.sep}" for folder in either)


def _modules() -> Iterator[SourceFile]:
    installed = _installed_folders()
    for name, module in list(sys.modules.items()):
        file = _file_of(module)
        if file is None or name in ("__main__", "__mp_main__") or not isinstance(name, str):
            continue
        path = os.path.abspath(file)
        if _INSTALLED.search(path) or path.startswith(installed) or os.path.realpath(path).startswith(installed):
            continue
        if os.path.basename(path).startswith(_GENERATED):
            continue
        if os.path.isfile(path):
            yield SourceFile(Path(path), "module", name)


def _file_of(module: Any) -> str | None:
    # Asking a lazy module for an attribute would import it.
    if not isinstance(module, ModuleType):
        return None
    file = object.__getattribute__(module, "__dict__").get("__file__")
    return file if isinstance(file, str) else None


def _untracked(root: Path) -> Iterator[Path]:
    if _is_too_wide(root) or repository_root(root) != root:
        return
    try:
        names = untracked_files(root)
    except GitRefusedError:
        return
    yield from (root / name for name in names if is_source_name(name) and _is_regular(root / name))


def is_source_name(name: str) -> bool:
    """Whether an untracked file of this relative path is source by its name: of a known kind, not hidden, and not
    called like something that holds a secret."""
    path = Path(name)
    if path.suffix.lower() not in SOURCE_SUFFIXES or any(part.startswith(".") for part in path.parts):
        return False
    if path.stem.lower() in _SECRET_FILES:
        return False
    return path.suffix.lower() in _CODE_SUFFIXES or not (is_secret_name(path.stem) or path.stem.lower() == "keys")


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False

"""Which files are the source of a run: what was started, what it imported, what git does not know yet."""

from __future__ import annotations

import os
import re
import site
import stat
import sys
import sysconfig
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from archiver.collect.command import is_interactive, parse_command
from archiver.collect.git import untracked_files
from archiver.collect.git_commands import GitRefusedError, repository_root
from archiver.collect.notebook import TypedCells, typed_cells
from archiver.collect.redaction import is_secret_name
from archiver.records.base import Unavailable
from archiver.records.source import SourceRole

SOURCE_SUFFIXES = frozenset((".py", ".ipynb", ".toml", ".cfg", ".ini", ".yaml", ".yml", ".json", ".txt", ".md", ".sh"))
_CODE_SUFFIXES = frozenset((".py", ".ipynb", ".sh", ".md"))
_SECRET_FILES = frozenset(("kaggle", "netrc", "pgpass", "pypirc", "htpasswd", "service-account", "service_account"))
_ARCHIVER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_INSTALLED = re.compile(r"[/\\](?:site|dist)-packages[/\\]")


MAXIMAL_ALIKE = 100
"""Untracked settings or texts of one kind in one folder; where there are more, they are data."""

_FOREIGN_FOLDERS = frozenset(("node_modules", "site-packages", "dist-packages", "__pypackages__"))
_BYTECODE = "__pycache__"
"""Python's own copies of source, nothing to speak of."""


@dataclass(frozen=True)
class SourceFile:
    """A file that belongs to the source; it may lie in a zip file that Python runs."""

    path: Path
    """Absolute; inside of a zip file, as Python writes it: `app.pyz/train.py`."""
    role: SourceRole
    module: str | None = None
    left_out: str | None = None
    """Why it, or the whole folder, is not to be copied."""


@dataclass(frozen=True)
class Snapshot:
    """What was running at one moment; it costs microseconds to take."""

    entry: Path | Unavailable
    folder: Path
    """The working directory."""
    modules: tuple[tuple[Any, Any], ...]
    """`sys.modules`."""
    cells: TypedCells | None


def take_snapshot(folder: Path | None = None) -> Snapshot:
    """What is running now; `folder` stands for the working directory. Never raises."""
    return Snapshot(entry_file(), folder or _working_directory(), tuple(sys.modules.items()), typed_cells())


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError:  # somebody removed it
        return Path(os.sep)


_GENERATED = "__autograph_generated_file"
"""TensorFlow's own rewritings of functions, in the folder of temporary files, named anew each time."""


def entry_file() -> Path | Unavailable:
    """The file that was started, or why there is none."""
    main = sys.modules.get("__main__")
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    if isinstance(file, str) and file.startswith("<"):  # <stdin>
        file = None
    if "ipykernel" in sys.modules and file is None:
        return Unavailable(unavailable="the run was started in a notebook, whose cells are not known")
    if file is None and parse_command(sys.orig_argv).start == "code":
        return Unavailable(unavailable="Python was given the code with -c: it stands in the run's command")
    if file is None and is_interactive():
        return Unavailable(unavailable="the run was started at a prompt: what was typed is in no file")
    if file is None:
        return Unavailable(unavailable="Python was not started with a file")
    path = Path(os.path.abspath(file))
    if not path.is_file() and zip_file_of(path) is None:
        return Unavailable(unavailable=f"the file that was started is not there: {path.name}")
    if is_installed(str(path)):
        name = spec.name if spec is not None else path.name
        return Unavailable(unavailable=f"the run was started by the installed program {name}")
    return path


def project_root(entry: Path | None, folder: Path) -> Path:
    """The top of the repository that holds the entry script (without one: `folder`); else the script's folder.

    A repository of the whole home folder or of the whole file system is no project.
    """
    start = _folder_of(entry, folder)
    root = repository_root(start)
    return start.absolute() if root is None or _is_too_wide(root) else root


def folder_of(snapshot: Snapshot) -> Path:
    """The folder that holds the entry script; without one, the working directory."""
    return _folder_of(snapshot.entry if isinstance(snapshot.entry, Path) else None, snapshot.folder)


def _folder_of(entry: Path | None, folder: Path) -> Path:
    return folder if entry is None else (zip_file_of(entry) or entry).parent


def zip_file_of(path: Path) -> Path | None:
    """The zip file that `path` leads into, as paths of modules do in a program that is one file (zipapp, pex)."""
    outer = next((each for each in path.parents if each.exists()), None)
    return outer if outer is not None and outer.is_file() and zipfile.is_zipfile(outer) else None


def _is_too_wide(root: Path) -> bool:
    return root == Path(root.anchor) or os.path.realpath(root) == os.path.realpath(os.path.expanduser("~"))


def find_source(entry: Path | None, folder: Path, modules: Iterable[tuple[Any, Any]] | None = None) -> list[SourceFile]:
    """The entry script, then the local modules among `modules` (`sys.modules` as it is now), then the untracked source
    files of the repository `folder` is the top of; each file once, in the order of their paths within a role.

    Local is what is neither in the standard library nor installed nor archiver itself. What is installed as a link to
    a source folder (`pip install -e`) is local, too.
    """
    known = dict(list(sys.modules.items()) if modules is None else modules)
    found: dict[str, SourceFile] = {}
    if entry is not None:
        spec = getattr(known.get("__main__"), "__spec__", None)
        found[os.path.realpath(entry)] = SourceFile(entry.absolute(), "entry", spec.name if spec else None)
    for file in (*sorted(local_modules(known), key=lambda each: str(each.path)), *_untracked(folder)):
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


def local_modules(modules: dict[Any, Any]) -> Iterator[SourceFile]:
    """Those among `sys.modules` that are neither in the standard library nor installed nor archiver itself."""
    installed = _installed_folders()
    for name, module in modules.items():
        file = _file_of(module)
        if file is None or name in ("__main__", "__mp_main__") or not isinstance(name, str):
            continue
        path = os.path.abspath(file)
        if _INSTALLED.search(path) or path.startswith(installed) or os.path.realpath(path).startswith(installed):
            continue
        if os.path.basename(path).startswith(_GENERATED):
            continue
        if os.path.isfile(path) or zip_file_of(Path(path)) is not None:
            yield SourceFile(Path(path), "module", name)


def _file_of(module: Any) -> str | None:
    # Asking a lazy module for an attribute would import it; some that call themselves modules have no dictionary.
    if not isinstance(module, ModuleType):
        return None
    try:
        file = object.__getattribute__(module, "__dict__").get("__file__")
    except AttributeError:
        return None
    return file if isinstance(file, str) else None


def _untracked(root: Path) -> Iterator[SourceFile]:
    if _is_too_wide(root) or repository_root(root) != root:
        return
    try:
        names = [name for name in untracked_files(root) if _BYTECODE not in name.split("/")]
    except GitRefusedError:
        return
    foreign = _foreign_folders(names)
    own = [name for name in names if is_source_name(name) and not name.startswith(tuple(foreign))]
    crowded = {key for key, count in Counter(map(_kind, own)).items() if count > MAXIMAL_ALIKE and _may_be_data(key[1])}
    for folder, reason in sorted(foreign.items()):
        yield SourceFile(root / folder, "untracked", left_out=reason)
    for folder, suffix in sorted(crowded):
        reason = f"it holds more than {MAXIMAL_ALIKE} files *{suffix}: they look like data"
        yield SourceFile(root / folder / f"*{suffix}", "untracked", left_out=reason)
    for name in own:
        if _kind(name) not in crowded and _is_regular(root / name):
            yield SourceFile(root / name, "untracked")


def _kind(name: str) -> tuple[str, str]:
    folder, file = os.path.split(name)
    return folder, os.path.splitext(file)[1].lower()


def _may_be_data(suffix: str) -> bool:
    return suffix not in _CODE_SUFFIXES


def _foreign_folders(names: list[str]) -> dict[str, str]:
    """Folders of other people's code that nobody told git to ignore, each with a `/` at the end, and what they are."""
    folders = {
        name.removesuffix("pyvenv.cfg"): "a virtual environment" for name in names if name.endswith("/pyvenv.cfg")
    }
    ending = "conda-meta/history"
    folders |= {name.removesuffix(ending): "an environment of conda" for name in names if name.endswith(f"/{ending}")}
    for name in names:
        parts = name.split("/")[:-1]
        index = next((position for position, part in enumerate(parts) if part in _FOREIGN_FOLDERS), None)
        if index is not None and not name.startswith(tuple(folders)):
            folders["/".join(parts[: index + 1]) + "/"] = "a folder of installed code"
    return {folder: f"it is {reason}" for folder, reason in folders.items()}


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

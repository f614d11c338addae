"""The Python that a run is run again with: the one at hand, or one made from the recorded packages.

A rebuilt environment is kept in the user's cache folder under the digest of what it was made from. archiver itself is
never taken from an index: both kinds use the running one, through a folder of links in front of PYTHONPATH, so that the
repetition writes what this version compares.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from archiver import layout
from archiver._resources import resource_folder
from archiver.archive.run import Run
from archiver.collect.packages import normalised_name
from archiver.errors import ArchiverError, CannotReproduceError
from archiver.records.base import Json, Unavailable
from archiver.records.environment import PackagePart, PackagesRecord
from archiver.records.reproduction import PackageDifferencePart, RebuiltEnvironmentPart
from archiver.reproduction.recipe import Recipe, cannot
from archiver.storage import files
from archiver.storage.digests import sha256_of
from archiver.storage.locks import wait_for_lock
from archiver.storage.reading import read_below

OURSELVES = "keras-archiver"
_NOT_INSTALLED = frozenset((OURSELVES, "pip", "uv"))
"""What an environment brings along itself, and what runs it."""
_MARKER = "archiver-environment.json"
MAXIMAL_LOCK_BYTES = 16 << 20
_SHA256 = re.compile("[0-9a-f]{64}")
_LIST_PACKAGES = "from archiver.collect.packages import collect_packages; print(collect_packages().model_dump_json())"

Say = Callable[[str], None]
Kind = Literal["current", "rebuild"]
Installer = Literal["uv", "pip"]


@dataclass(frozen=True)
class Environment:
    """A Python with packages."""

    python: str
    part: RebuiltEnvironmentPart


@dataclass(frozen=True)
class Requirements:
    """What is installed, and what cannot be."""

    lines: tuple[str, ...]
    obstacles: tuple[str, ...]
    locked: tuple[str, ...] = ()
    """Those of which the archive's lock has the hash of the file in the index; they are not among `lines`."""

    @property
    def text(self) -> str:
        """All of them, as pip reads it."""
        return "".join(f"{line}\n" for line in (*self.locked, *self.lines))

    @property
    def count(self) -> int:
        """How many packages."""
        return len(self.locked) + len(self.lines)

    def lists(self) -> list[tuple[str, ...]]:
        """What is installed by one call each: where one requirement has a hash, pip wants one of each."""
        return [lines for lines in (self.locked, self.lines) if lines]

    def digest(self, python_version: str) -> str:
        """SHA-256 of what an environment is made from."""
        return sha256_of(f"python=={python_version}\n{self.text}".encode())


def requirements_of(packages: PackagesRecord, root: Path, hashes: Mapping[str, str] | None = None) -> Requirements:
    """The recorded packages, each at its version and from where it came.

    Packages that are installed from below `root` are in the source tree, which is on the path.

    Args:
        packages: as recorded.
        root: the top of the recorded source.
        hashes: by `name==version`, SHA-256 of the file that the lock of the archive names.
    """
    lines, locked, obstacles = [], [], []
    known_hashes = hashes or {}
    for name, part in packages.packages.items():
        if name in _NOT_INSTALLED:
            continue
        line, obstacle = _requirement(part, root)
        if line is not None and line in known_hashes:
            locked.append(f"{line} --hash=sha256:{known_hashes[line]}")
        elif line is not None:
            lines.append(line)
        if obstacle is not None:
            obstacles.append(obstacle)
    return Requirements(tuple(sorted(lines)), tuple(obstacles), tuple(sorted(locked)))


def _requirement(part: PackagePart, root: Path) -> tuple[str | None, str | None]:
    name = normalised_name(part.name)
    address = _address(part.direct_url)
    if part.editable or (address is not None and address.startswith("file:")):
        folder = Path(urlsplit(os.path.expanduser(address or "")).path or "/")
        if folder == root or folder.is_relative_to(root):
            return None, None
        return None, f"{name} was installed from the folder {folder}, which no index has"
    if address is not None:
        return f"{name} @ {address}", None
    if isinstance(part.version, Unavailable):
        return None, f"the version of {name} is not known ({part.version.unavailable})"
    if any(character.isspace() or character in ";#@" for character in part.version):
        return None, f"{name} has the version {part.version!r}, which is none"
    return f"{name}=={part.version}", None


def locked_hashes(run: Run) -> dict[str, str]:
    """By `name==version`, the hashes in the lock that `archiver lock` wrote; none where there is no such lock."""
    if not run.has(layout.LOCK):
        return {}
    try:
        text = read_below(run.path, layout.LOCK.path(run.name), MAXIMAL_LOCK_BYTES).decode()
        packages = tomllib.loads(text)["packages"]
        found = {f"{each['name']}=={each['version']}": each["wheels"][0]["hashes"]["sha256"] for each in packages}
    except (OSError, ArchiverError, ValueError, LookupError, TypeError, RecursionError):
        return {}  # the recorded versions do without
    return {line: digest for line, digest in found.items() if _SHA256.fullmatch(str(digest))}


def _address(direct_url: Json) -> str | None:
    """Where a package came from, as pip takes it."""
    url = direct_url.get("url") if isinstance(direct_url, dict) else None
    if not isinstance(url, str) or any(character.isspace() for character in url):
        return None
    version = direct_url.get("vcs_info")
    if isinstance(version, dict) and isinstance(version.get("vcs"), str):
        return f"{version['vcs']}+{url}@{version.get('commit_id', '')}"
    archive = direct_url.get("archive_info")
    digests = archive.get("hashes") if isinstance(archive, dict) else None
    digest = digests.get("sha256") if isinstance(digests, dict) else None
    return f"{url}#sha256={digest}" if isinstance(digest, str) and not url.startswith("file:") else url


# -- the two kinds


def current(recipe: Recipe) -> Environment:
    """The environment that archiver runs in."""
    from archiver.collect.packages import collect_packages

    version = ".".join(map(str, sys.version_info[:3]))
    compared, differences = compare(recipe.packages, collect_packages())
    part = RebuiltEnvironmentPart(
        kind="current",
        python_version=version,
        requirements_sha256=None,
        installer=None,
        packages_compared=compared,
        differences=tuple(differences),
    )
    return Environment(sys.executable, part)


@dataclass(frozen=True)
class Plan:
    """An environment to be made from the recorded packages. Making it may run code of theirs."""

    folder: Path
    base: str
    """The Python it is made with."""
    version: str
    requirements: Requirements
    digest: str
    recorded: PackagesRecord

    @property
    def python(self) -> str:
        """The interpreter it will have."""
        return str(self.folder / "bin" / "python")

    @property
    def elsewhere(self) -> list[str]:
        """Requirements that come from other places than an index."""
        return [line for line in self.requirements.lines if " @ " in line]


def planned(recipe: Recipe) -> Plan:
    """What would be installed where; nothing is, yet.

    Raises:
        CannotReproduceError: there is no such Python, or the packages cannot be had.
    """
    if recipe.packages is None:
        raise cannot(recipe.run, ["environment/packages.json: its packages are not known"])
    requirements = requirements_of(recipe.packages, recipe.root, locked_hashes(recipe.run))
    if requirements.obstacles:
        raise cannot(recipe.run, list(requirements.obstacles))
    base, version = find_python(recipe, recorded_python(recipe))
    digest = requirements.digest(version)
    return Plan(cache_folder() / digest[:32], base, version, requirements, digest, recipe.packages)


def rebuilt(plan: Plan, say: Say) -> Environment:
    """The environment, made if it is not in the cache, and compared with what was recorded.

    Raises:
        CannotReproduceError: it cannot be made.
    """
    with _alone(plan.folder):
        installer = _make(plan.folder, plan.base, plan.requirements, say)
    compared, differences = compare(plan.recorded, packages_of(plan.python))
    part = RebuiltEnvironmentPart(
        kind="rebuild",
        python_version=plan.version,
        requirements_sha256=plan.digest,
        installer=installer,
        packages_compared=compared,
        differences=tuple(differences),
    )
    return Environment(plan.python, part)


def cache_folder() -> Path:
    """Where rebuilt environments are kept; it can be deleted at any time."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "archiver" / "environments"


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with files.explained("make", folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
            wait_for_lock(lock.fileno())
            yield


def _make(folder: Path, base: str, requirements: Requirements, say: Say) -> Installer:
    """The environment, complete when its marker is there."""
    marker = folder / _MARKER
    if marker.is_file():
        say(f"environment: {folder} (made before)")
        return "uv" if json.loads(marker.read_bytes()).get("installer") == "uv" else "pip"
    list_of_all = folder.with_name(f"{folder.name}.txt")
    files.write_text(list_of_all, requirements.text)
    count = len(requirements.lines)
    uv, python = shutil.which("uv"), str(folder / "bin" / "python")
    installer: Installer = "uv" if uv else "pip"
    say(f"environment: installing {count} packages into {folder} with {installer}")
    try:
        _install(folder, _with_uv(uv, base, python) if uv else _with_pip(base, python), list_of_all)
    except CannotReproduceError as error:
        if installer == "pip":
            raise
        # pip may have been told of other indexes, which uv does not ask.
        say(f"{' '.join(str(error).split())[:300]}; trying pip")
        installer = "pip"
        _install(folder, _with_pip(base, python), list_of_all)
    files.write_text(marker, json.dumps({"installer": installer, "packages": list(requirements.lines)}))
    return installer


def _install(folder: Path, commands: tuple[list[str], list[str]], list_of_all: Path) -> None:
    """Make the environment anew, and install what is listed."""
    files.remove(folder)
    making, installing = commands
    _run([*making, str(folder)])
    _run([*installing, "--requirement", str(list_of_all)])


def _with_uv(uv: str, base: str, python: str) -> tuple[list[str], list[str]]:
    making = [uv, "venv", "--quiet", "--python", base]
    return making, [uv, "pip", "install", "--quiet", "--no-deps", "--python", python]


def _with_pip(base: str, python: str) -> tuple[list[str], list[str]]:
    """With the pip of this environment where it has one, which saves installing another."""
    options = ["install", "--quiet", "--no-deps", "--no-compile", "--disable-pip-version-check"]
    if importlib.util.find_spec("pip") is None:
        return [base, "-m", "venv"], [python, "-m", "pip", *options]
    ours = [sys.executable, "-m", "pip", "--python", python]
    return [base, "-m", "venv", "--without-pip"], [*ours, *options]


def _run(command: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    except OSError as error:
        raise CannotReproduceError(f"{command[0]} cannot be started: {error.strerror or error}.") from error
    if result.returncode:
        complaint = "\n".join(result.stderr.strip().splitlines()[-8:])
        raise CannotReproduceError(f"the environment cannot be rebuilt; {Path(command[0]).name} said:\n{complaint}")


def recorded_python(recipe: Recipe) -> str:
    """The version of Python that the run had."""
    if recipe.system is None:
        raise cannot(recipe.run, ["environment/system.json: its Python is not known"])
    return recipe.system.python.version.split()[0]


def find_python(recipe: Recipe, version: str) -> tuple[str, str]:
    """A Python of that minor version, and which version it is.

    Raises:
        CannotReproduceError: there is none here.
    """
    minor = ".".join(version.split(".")[:2])
    here = ".".join(map(str, sys.version_info[:3]))
    base = getattr(sys, "_base_executable", None) or sys.executable
    candidates = [base if here.startswith(f"{minor}.") else None, shutil.which(f"python{minor}")]
    for program in candidates:
        told = _version_of(program) if program else None
        if program and told is not None and told.startswith(f"{minor}."):
            return program, told
    raise cannot(recipe.run, [f"Python {minor} (the run had {version}), on the PATH as python{minor}"])


def _version_of(program: str) -> str | None:
    code = "import platform; print(platform.python_version())"
    try:
        result = subprocess.run([program, "-I", "-c", code], check=False, capture_output=True, text=True)
    except OSError:
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def packages_of(python: str) -> PackagesRecord:
    """What is installed for another Python, with fingerprints.

    Raises:
        CannotReproduceError: it does not say; archiver's own dependencies may be missing there.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix="archiver-links-") as folder:
        environment = os.environ | {"PYTHONPATH": str(link_ourselves(Path(folder)))}
        result = subprocess.run(
            [python, "-c", _LIST_PACKAGES], check=False, capture_output=True, text=True, env=environment
        )
    if result.returncode:
        complaint = "\n".join(result.stderr.strip().splitlines()[-3:])
        raise CannotReproduceError(f"archiver does not run in the rebuilt environment:\n{complaint}")
    return PackagesRecord.model_validate_json(result.stdout)


def link_ourselves(folder: Path) -> Path:
    """A folder for PYTHONPATH in which this archiver, and nothing else, is found."""
    links = folder / "archiver-itself"
    links.mkdir()
    package = Path(__file__).resolve().parents[1]
    (links / "archiver").symlink_to(package)
    for name in ("templates", "schemas"):
        if not resource_folder(name).is_relative_to(package):
            (links / name).symlink_to(resource_folder(name))
    return links


# -- comparing


def compare(recorded: PackagesRecord | None, found: PackagesRecord) -> tuple[int, list[PackageDifferencePart]]:
    """How many recorded packages were looked for, and which are not the same, by version or by content."""
    if recorded is None:
        return 0, []
    wanted = {name: part for name, part in recorded.packages.items() if name not in _NOT_INSTALLED}
    differences = [
        PackageDifferencePart(name=name, recorded=_version(part), found=_version(found.packages.get(name)), reason=why)
        for name, part in wanted.items()
        if (why := _why_other(part, found.packages))
    ]
    return len(wanted), differences


def _version(part: PackagePart | None) -> str | None:
    return part.version if part is not None and isinstance(part.version, str) else None


def _why_other(part: PackagePart, packages: Mapping[str, PackagePart]) -> str | None:
    here = packages.get(normalised_name(part.name))
    if here is None:
        return None if part.editable else "not installed here"
    if here.version != part.version:
        return f"version {_version(part) or 'unknown'}, here {_version(here) or 'unknown'}"
    if part.editable or here.editable:
        return None
    known = isinstance(part.record_sha256, str) and isinstance(here.record_sha256, str)
    return f"{_version(part)} with other files" if known and here.record_sha256 != part.record_sha256 else None

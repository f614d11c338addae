"""Rebuilding the source tree of a run: its commit and what was not committed, or the copies in the archive alone.

The copies have the last word: they are, byte for byte, what ran. They are read as strangers' files are, and nothing is
written outside of the new folder. Of git, no hook and no program of the repository's own configuration is run.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from archiver import layout
from archiver.collect.command import recordable
from archiver.collect.git_commands import GitRefusedError, Repository
from archiver.errors import UnsafePathError
from archiver.records.base import Unavailable
from archiver.records.environment import PatchPart, RepositoryPart
from archiver.records.reproduction import RebuiltSourcePart
from archiver.records.source import SourceFilePart
from archiver.reproduction.recipe import Recipe, cannot
from archiver.storage import files
from archiver.storage.beneath import relative_parts
from archiver.storage.digests import sha256_of
from archiver.storage.reading import read_below

MAXIMAL_COPY_BYTES = 64 << 20
MAXIMAL_PATCH_BYTES = 64 << 20
_PLAIN_NAME = re.compile(r"[\w-][\w. -]*")
LOCAL = {"GIT_ALLOW_PROTOCOL": "file"}
REMOTE = {"GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh"}


@dataclass
class SourceTree:
    """The rebuilt tree."""

    root: Path
    """What the recorded root is now."""
    outer: Path
    """Modules from outside the root: an entry for PYTHONPATH."""
    part: RebuiltSourcePart


@dataclass
class _Building:
    recipe: Recipe
    root: Path
    outer: Path
    repository: str | None = None
    commit: str | None = None
    patch_applied: bool = False
    copied: int = 0
    replaced: int = 0
    notes: list[str] = field(default_factory=list)


def rebuild(recipe: Recipe, work: Path, repository: Path | None = None, *, fetch: bool = False) -> SourceTree:
    """Make the tree in `work`, an empty folder.

    Args:
        recipe: what the archive says.
        work: where `tree` and `outside` are made.
        repository: a repository that has the commit; where it was recorded by default.
        fetch: whether the recorded remote may be asked for the commit.

    Raises:
        CannotReproduceError: what was started is nowhere, or a copy is not what the record says.
    """
    # Under its own name: a package may be imported by it.
    name = recipe.root.name if _PLAIN_NAME.fullmatch(recipe.root.name) else "tree"
    building = _Building(recipe, work / "source" / name, work / "outside")
    building.root.mkdir(parents=True)
    if recipe.repository is not None:
        _take_commit(building, recipe.repository, repository, fetch=fetch)
    _copy(building, recipe.inner_files, building.root)
    _copy(building, recipe.outer_files, building.outer)
    _check(building)
    part = RebuiltSourcePart(
        origin="copies" if building.commit is None else "repository",
        commit=building.commit,
        repository=building.repository,
        patch_applied=building.patch_applied,
        copied_count=building.copied,
        replaced_count=building.replaced,
        notes=tuple(building.notes),
    )
    return SourceTree(building.root, building.outer, part)


# -- the commit


def _take_commit(building: _Building, recorded: RepositoryPart, given: Path | None, *, fetch: bool) -> None:
    if isinstance(recorded.commit, Unavailable):
        building.notes.append(f"no commit ({recorded.commit.unavailable}): the tree is made of the archive's copies")
        return _begin_repository(building)
    commit = recorded.commit.hash
    local = given or (Path(os.path.expanduser(recorded.root)) if isinstance(recorded.root, str) else None)
    reason = _clone(building, local, commit) if local is not None else "its place is not known"
    if reason is not None and fetch:
        reason = _fetch(building, recorded, commit)
    if reason is not None:
        building.notes.append(f"commit {commit[:12]} was not to be had ({reason}): the tree is made of the copies")
        return _begin_repository(building)
    building.commit = commit
    _apply(building, recorded.patch, layout.PATCH)
    return _take_submodules(building, recorded)


def _begin_repository(building: _Building) -> None:
    """An empty one, so that the root of the tree is found to be the root: paths of files are as they were."""
    try:
        Repository(building.root).run("init", "--quiet", "--template=")
    except GitRefusedError:
        building.notes.append("there is no git: files are known by their place below the script's folder")


def _clone(building: _Building, local: Path, commit: str) -> str | None:
    """Take the commit from a repository on this machine; why not, where it cannot."""
    try:
        if not local.is_dir():
            return f"no repository at {recordable(str(local))}"
        Repository(local).run("cat-file", "-e", f"{commit}^{{commit}}")
        clone = ("clone", "--quiet", "--no-checkout", "--shared", "--template=", "--", str(local), str(building.root))
        Repository(local, ("-c", "protocol.file.allow=always"), LOCAL).run(*clone)
        _check_out(building, commit)
    except GitRefusedError as error:
        return str(error)
    building.repository = recordable(str(local))
    return None


def _fetch(building: _Building, recorded: RepositoryPart, commit: str) -> str | None:
    remotes = () if isinstance(recorded.remotes, Unavailable) else recorded.remotes
    reason = "no remote was recorded"
    for remote in remotes:
        if not remote.url or remote.url.startswith("-"):
            continue
        try:
            _begin_repository(building)
            _fetch_from(building, os.path.expanduser(remote.url), commit)
            _check_out(building, commit)
        except GitRefusedError as error:
            reason = f"{remote.url}: {error}"
            continue
        building.repository = remote.url
        return None
    return reason


def _fetch_from(building: _Building, url: str, commit: str) -> None:
    fetching = Repository(building.root, ("-c", "protocol.file.allow=always"), REMOTE)
    try:
        fetching.run("fetch", "--quiet", "--depth=1", "--", url, commit)
    except GitRefusedError:  # not every server gives a commit by its name: then all branches and tags
        fetching.run("fetch", "--quiet", "--tags", "--", url, "+refs/heads/*:refs/remotes/origin/*")


def _check_out(building: _Building, commit: str) -> None:
    Repository(building.root, ("-c", "advice.detachedHead=false")).run("checkout", "--quiet", "--detach", commit)


def _apply(building: _Building, recorded: PatchPart | Unavailable, file: layout.ArchiveFile) -> None:
    run = building.recipe.run
    if isinstance(recorded, Unavailable):
        building.notes.append(f"{file.description}: not recorded ({recorded.unavailable})")
        return
    if recorded.withheld:
        building.notes.append(f"{file.description}: withheld ({recorded.withheld}); only the copies have them")
        return
    if not recorded.size_bytes or not run.has(file):
        return
    patch = building.root.parent / "patch"
    files.write_bytes(patch, read_below(run.path, file.path(run.name), MAXIMAL_PATCH_BYTES))
    try:
        Repository(building.root).run("apply", "--whitespace=nowarn", "--", str(patch))
        building.patch_applied = True
    except GitRefusedError as error:
        building.notes.append(f"{file.description}: git could not apply the patch ({error})")
    finally:
        files.remove(patch)


def _take_submodules(building: _Building, recorded: RepositoryPart) -> None:
    parts = () if isinstance(recorded.submodules, Unavailable) else recorded.submodules
    if parts:
        names = ", ".join(part.path for part in parts[:3])
        building.notes.append(f"of submodules ({names}), only the files that were imported are there, as copies")


# -- the copies


def _copy(building: _Building, parts: dict[str, SourceFilePart], target: Path) -> None:
    run = building.recipe.run
    for path, part in sorted(parts.items()):
        data = read_below(run.path, part.path, MAXIMAL_COPY_BYTES)
        if sha256_of(data) != part.sha256:
            raise cannot(run, [f"{part.path} is not the file that its record speaks of"])
        place = _place(target, path)
        found = place.read_bytes() if place.is_file() else None
        if found == data:
            continue
        if found is not None:
            building.replaced += 1
            building.notes.append(f"{path} is not as in the commit and its patch: the copy of what ran was taken")
        files.write_bytes(place, data)
        building.copied += 1


def _place(target: Path, path: str) -> Path:
    """Where a copy goes; never through a link of the commit, never into git's own folder."""
    parts = relative_parts(path)
    if parts[0].lower() == ".git":
        raise UnsafePathError(f"Received the source file {path!r}. Expected none in git's own folder.")
    folder = target
    for part in parts[:-1]:
        folder = folder / part
        if folder.is_symlink():
            folder.unlink()
    place = folder / parts[-1]
    if place.is_symlink():
        place.unlink()
    return place


def _check(building: _Building) -> None:
    """Whether what was started is there, and which imported modules are not."""
    recipe = building.recipe
    for part in recipe.source.left_out:
        is_there = not part.original_path.startswith(("/", "~")) and (building.root / part.original_path).exists()
        if part.role == "entry" and not is_there:
            raise cannot(recipe.run, [f"{part.original_path}, which was started: it was not copied ({part.reason})"])
        if part.role == "module" and not is_there:
            building.notes.append(f"the module {part.original_path} is missing: it was not copied ({part.reason})")

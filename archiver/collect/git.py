"""The state of the repository that the code came from, and the patch of what is not committed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

from archiver.collect.command import recordable
from archiver.collect.git_commands import GitRefusedError, Repository, git_version, guarded
from archiver.collect.redaction import redact_remote, redact_text
from archiver.naming import FOLDER_SUFFIX
from archiver.records.base import Unavailable, utc_now
from archiver.records.environment import (
    ChangesPart,
    CommitPart,
    GitRecord,
    PatchPart,
    RemotePart,
    RepositoryPart,
    StatusEntry,
    SubmodulePart,
    UntrackedPart,
)
from archiver.storage.digests import sha256_of
from archiver.storage.journal import JOURNAL_NAME

MAXIMAL_PATCH_BYTES = 20 << 20
MAXIMAL_LISTED = 500

T = TypeVar("T")

_DIFF = (
    "diff", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
    "--ignore-submodules=all", "--src-prefix=a/", "--dst-prefix=b/", "--unified=3", "--inter-hunk-context=0",
    f"-O{os.devnull}",
)  # fmt: skip
_BINARY_HUNK = re.compile(rb"^(?:literal|delta) \d+\n(?:[A-Za-z].+\n)+", re.MULTILINE)


def collect_git(folder: Path, maximal_patch_bytes: int = MAXIMAL_PATCH_BYTES) -> tuple[GitRecord, bytes]:
    """The repository that holds `folder`, and the patch of its uncommitted changes to tracked files.

    The patch is empty where there is nothing to keep, and where the record says why it is withheld: it is larger than
    `maximal_patch_bytes`, or looks like it holds a secret. GIT_DIR and its like are ignored. The repository is only
    read, and no program that its configuration names is run. Never raises; takes some 15 runs of git, on a large
    working tree seconds.
    """
    collected = utc_now()
    try:
        version = git_version()
    except GitRefusedError as error:
        reason = Unavailable(unavailable=str(error))
        return GitRecord(collected=collected, git_version=reason, repository=reason), b""
    repository: RepositoryPart | Unavailable
    try:
        repository, patch = _repository(folder, maximal_patch_bytes)
    except GitRefusedError as error:
        repository, patch = _refusal(error), b""
    return GitRecord(collected=collected, git_version=version, repository=repository), patch


def repository_root(folder: Path) -> Path | None:
    """Top folder of the working tree that holds `folder`; None where there is none, or git refuses to look at it."""
    try:
        return Path(os.fsdecode(Repository(folder).run("rev-parse", "--show-toplevel")[:-1]))
    except GitRefusedError:
        return None


def untracked_files(root: Path) -> list[str]:
    """Files that git neither tracks nor ignores, relative to `root`, sorted; archives of runs are left out.

    Raises:
        GitRefusedError: git cannot tell.
    """
    names = Repository(root).words("ls-files", "--others", "--exclude-standard", "-z")
    ending = f"{FOLDER_SUFFIX}/{JOURNAL_NAME}"
    archives = tuple(name.removesuffix(JOURNAL_NAME) for name in names if name.endswith(ending))
    return sorted(name for name in names if not name.startswith(archives))


def _refusal(error: GitRefusedError) -> Unavailable:
    return Unavailable(unavailable=recordable(redact_text(str(error))))


def _attempt(function: Callable[[], T]) -> T | Unavailable:
    try:
        return function()
    except GitRefusedError as error:
        return _refusal(error)


def _repository(folder: Path, maximal_patch_bytes: int) -> tuple[RepositoryPart, bytes]:
    asked = Repository(folder)
    layout = _layout(asked)
    root = repository_root(folder)
    no_tree = Unavailable(unavailable="the repository has no working tree here")
    tree = _WorkingTree(no_tree, no_tree, ()) if root is None else _working_tree(root, maximal_patch_bytes)
    part = RepositoryPart(
        layout=layout,
        root=no_tree if root is None else recordable(str(root)),
        folder=no_tree if root is None else recordable(asked.text("rev-parse", "--show-prefix").rstrip("/")) or ".",
        commit=_commit(asked),
        branch=_branch(asked),
        dirty=tree.changes.count > 0 if isinstance(tree.changes, ChangesPart) else tree.changes,
        changes=tree.changes,
        untracked=no_tree if root is None else _attempt(lambda: _untracked(root)),
        patch=tree.patch,
        remotes=_attempt(lambda: _remotes(asked)),
        submodules=() if root is None else _attempt(lambda: _submodules(root)),
        filters_off=tree.filters_off,
    )
    return part, tree.patch_bytes


def _layout(repository: Repository) -> Literal["main", "linked_worktree", "submodule", "bare"]:
    if repository.text("rev-parse", "--is-bare-repository") == "true":
        return "bare"
    own, common = (
        os.path.realpath(repository.folder / os.fsdecode(repository.run("rev-parse", option)[:-1]))
        for option in ("--git-dir", "--git-common-dir")
    )
    if own != common:
        return "linked_worktree"
    return "submodule" if f"{os.sep}.git{os.sep}modules{os.sep}" in own else "main"


def _commit(repository: Repository) -> CommitPart | Unavailable:
    try:
        name = repository.text("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except GitRefusedError:
        return Unavailable(unavailable="nothing is committed yet")
    header, _, message = repository.text("cat-file", "commit", name).partition("\n\n")
    committed = re.search(r"^committer .*> (-?\d+) ([+-])(\d\d)(\d\d)$", header, re.MULTILINE)
    unknown = Unavailable(unavailable="the commit does not tell")
    return CommitPart(
        hash=name,
        committed=_time(int(committed[1])) if committed else unknown,
        offset_seconds=int(f"{committed[2]}1") * (int(committed[3]) * 60 + int(committed[4])) * 60
        if committed
        else unknown,
        subject=redact_text(message.lstrip("\n").partition("\n")[0])[:500],
        description=_attempt(lambda: redact_text(repository.text("describe", "--tags", "--always", "--long", name))),
    )


def _time(seconds: int) -> datetime | Unavailable:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return Unavailable(unavailable=f"{seconds} seconds since 1970 is no date")


def _branch(repository: Repository) -> str | Unavailable:
    try:
        return redact_text(repository.text("symbolic-ref", "--quiet", "--short", "HEAD"))
    except GitRefusedError as error:
        return (
            Unavailable(unavailable="HEAD is detached: it names a commit, not a branch")
            if error.status == 1
            else _refusal(error)
        )


@dataclass(frozen=True)
class _WorkingTree:
    changes: ChangesPart | Unavailable
    patch: PatchPart | Unavailable
    filters_off: tuple[str, ...]
    patch_bytes: bytes = b""


def _working_tree(root: Path, maximal_patch_bytes: int) -> _WorkingTree:
    try:
        with guarded(root) as (repository, filters_off):
            changes = _attempt(lambda: _changes(repository))
            patch, patch_bytes = _patch(repository, maximal_patch_bytes)
            return _WorkingTree(changes, patch, filters_off, patch_bytes)
    except (GitRefusedError, OSError) as error:
        reason = _refusal(error) if isinstance(error, GitRefusedError) else Unavailable(unavailable=str(error.strerror))
        return _WorkingTree(reason, reason, ())


def _changes(repository: Repository) -> ChangesPart:
    words = repository.words(
        "status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames", "--ignore-submodules=dirty"
    )
    entries = tuple(
        StatusEntry(code=word[:2], path=recordable(redact_text(word[3:]))) for word in words[:MAXIMAL_LISTED]
    )
    return ChangesPart(count=len(words), entries=entries)


def _patch(repository: Repository, maximal_bytes: int) -> tuple[PatchPart | Unavailable, bytes]:
    try:
        output = repository.capped(maximal_bytes, *_DIFF, _base(repository), "--")
    except GitRefusedError as error:
        return _refusal(error), b""
    patch = output.getvalue()
    if output.size_bytes > maximal_bytes:
        reason = f"it is larger than {maximal_bytes} bytes"
        too_large = Unavailable(unavailable=reason)
        return PatchPart(size_bytes=output.size_bytes, sha256=too_large, withheld=reason), b""
    if holds_secret(patch):
        part = PatchPart(size_bytes=len(patch), sha256=sha256_of(patch), withheld="it looks like it holds a secret")
        return part, b""
    return PatchPart(size_bytes=len(patch), sha256=sha256_of(patch)), patch


def _base(repository: Repository) -> str:
    """What the patch starts from: the commit, or the empty tree where nothing is committed yet."""
    try:
        return repository.text("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except GitRefusedError:
        return repository.text("hash-object", "-t", "tree", os.devnull)


def holds_secret(patch: bytes) -> bool:
    """Whether `redact_text` finds something in the text of a patch; the letters of its binary parts are no text."""
    text = _BINARY_HUNK.sub(b"", patch).decode("utf-8", "replace")
    return redact_text(text) != text


def _untracked(root: Path) -> UntrackedPart:
    names = untracked_files(root)
    return UntrackedPart(
        count=len(names), paths=tuple(recordable(redact_text(name)) for name in names[:MAXIMAL_LISTED])
    )


def _settings(repository: Repository, pattern: str, *file: str) -> dict[tuple[str, str], str]:
    """{(subsection, variable): value} of `section.subsection.variable`; the first value where there are several."""
    try:
        words = repository.words("config", *file, "-z", "--get-regexp", pattern)
    except GitRefusedError as error:
        if error.status == 1:
            return {}
        raise
    settings: dict[tuple[str, str], str] = {}
    for word in words:
        key, _, value = word.partition("\n")
        name, _, variable = key.partition(".")[2].rpartition(".")
        settings.setdefault((name, variable), value)
    return settings


def _remotes(repository: Repository) -> tuple[RemotePart, ...]:
    settings = _settings(repository, r"^remote\..*\.(url|pushurl)$")

    def address(name: str, variable: str) -> str | None:
        value = settings.get((name, variable))
        return None if value is None else recordable(redact_remote(value))

    return tuple(
        RemotePart(name=recordable(redact_text(name)), url=address(name, "url"), push_url=address(name, "pushurl"))
        for name in sorted({name for name, _ in settings})
    )


def _submodules(root: Path) -> tuple[SubmodulePart, ...]:
    if not (root / ".gitmodules").is_file():
        return ()
    settings = _settings(Repository(root), r"^submodule\..*\.(path|url)$", "-f", ".gitmodules")
    paths = {name: value for (name, variable), value in settings.items() if variable == "path"}
    return tuple(_submodule(root, paths[name], settings.get((name, "url"))) for name in sorted(paths))


def _submodule(root: Path, path: str, url: str | None) -> SubmodulePart:
    def recorded() -> str:
        return Repository(root).text("rev-parse", "--verify", "--quiet", f"HEAD:{path}")

    def checked_out() -> str:
        inner = root / path
        if not (inner / ".git").exists() or not inner.resolve().is_relative_to(root.resolve()):
            raise GitRefusedError("it is not checked out")
        return Repository(inner).text("rev-parse", "--verify", "--quiet", "HEAD^{commit}")

    return SubmodulePart(
        path=recordable(path),
        url=None if url is None else recordable(redact_remote(url)),
        recorded_commit=_attempt(recorded),
        checked_out_commit=_attempt(checked_out),
    )

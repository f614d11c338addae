"""The repository that the code came from, and the patches of what is not committed."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from archiver.collect.command import recordable
from archiver.collect.git_commands import (
    GitRefusedError,
    Repository,
    attempt_git,
    git_version,
    refusal,
    repository_root,
)
from archiver.collect.git_patch import MAXIMAL_LISTED, MAXIMAL_PATCH_BYTES, working_tree
from archiver.collect.git_state import is_on_remote, is_shallow, is_sparse, operation_under_way, upstream_of
from archiver.collect.git_submodules import collect_submodules
from archiver.collect.redaction import redact_remote, redact_text
from archiver.naming import FOLDER_SUFFIX
from archiver.records.base import Unavailable, utc_now
from archiver.records.environment import CommitPart, GitRecord, RemotePart, RepositoryPart, UntrackedPart
from archiver.storage.journal import JOURNAL_NAME


def collect_git(folder: Path, maximal_patch_bytes: int = MAXIMAL_PATCH_BYTES) -> tuple[GitRecord, bytes, bytes]:
    """The repository that holds `folder`, the patch of its uncommitted changes to tracked files, and the patch of those
    inside of its submodules.

    A patch is empty where there is nothing to keep, and where the record says why it is withheld: it is larger than
    `maximal_patch_bytes`, or looks like it holds a secret. GIT_DIR and its like are ignored. The repository is only
    read, and no program that its configuration names is run. Never raises; takes some 20 runs of git, on a large
    working tree seconds.
    """
    collected = utc_now()
    try:
        version = git_version()
    except GitRefusedError as error:
        reason = Unavailable(unavailable=str(error))
        return GitRecord(collected=collected, git_version=reason, repository=reason), b"", b""
    repository: RepositoryPart | Unavailable
    try:
        repository, patch, inner_patch = _repository(folder, maximal_patch_bytes)
    except GitRefusedError as error:
        repository, patch, inner_patch = refusal(error), b"", b""
    return GitRecord(collected=collected, git_version=version, repository=repository), patch, inner_patch


def untracked_files(root: Path) -> list[str]:
    """Files that git neither tracks nor ignores, relative to `root`, sorted; archives of runs are left out.

    Raises:
        GitRefusedError: git cannot tell.
    """
    names = Repository(root).words("ls-files", "--others", "--exclude-standard", "-z")
    ending = f"{FOLDER_SUFFIX}/{JOURNAL_NAME}"
    archives = tuple(name.removesuffix(JOURNAL_NAME) for name in names if name.endswith(ending))
    return sorted(name for name in names if not name.startswith(archives))


def _repository(folder: Path, maximal_patch_bytes: int) -> tuple[RepositoryPart, bytes, bytes]:
    asked = Repository(folder)
    layout = _layout(asked)
    root = repository_root(folder)
    no_tree = Unavailable(unavailable="the repository has no working tree here")
    tree = working_tree(root, no_tree, maximal_patch_bytes)
    inner = collect_submodules(root, maximal_patch_bytes)
    commit = _commit(asked)
    part = RepositoryPart(
        layout=layout,
        root=no_tree if root is None else recordable(str(root)),
        folder=no_tree if root is None else recordable(asked.text("rev-parse", "--show-prefix").rstrip("/")) or ".",
        commit=commit,
        branch=_branch(asked),
        dirty=tree.changes if isinstance(tree.changes, Unavailable) else tree.changes.count > 0 or inner.dirty,
        upstream=attempt_git(lambda: upstream_of(asked)),
        on_remote=commit if isinstance(commit, Unavailable) else attempt_git(lambda: is_on_remote(asked, commit.hash)),
        operation=operation_under_way(asked),
        shallow=attempt_git(lambda: is_shallow(asked)),
        sparse=attempt_git(lambda: is_sparse(asked)),
        changes=tree.changes,
        untracked=no_tree if root is None else attempt_git(lambda: _untracked(root)),
        patch=tree.patch,
        submodules_patch=inner.patch,
        remotes=attempt_git(lambda: _remotes(asked)),
        submodules=inner.parts,
        filters_off=tree.filters_off,
    )
    return part, tree.patch_bytes, inner.patch_bytes


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
        description=attempt_git(lambda: redact_text(repository.text("describe", "--tags", "--always", "--long", name))),
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
            else refusal(error)
        )


def _untracked(root: Path) -> UntrackedPart:
    names = untracked_files(root)
    return UntrackedPart(
        count=len(names), paths=tuple(recordable(redact_text(name)) for name in names[:MAXIMAL_LISTED])
    )


def _remotes(repository: Repository) -> tuple[RemotePart, ...]:
    settings = repository.settings(r"^remote\..*\.(url|pushurl)$")

    def address(name: str, variable: str) -> str | None:
        value = settings.get((name, variable))
        return None if value is None else recordable(redact_remote(value))

    return tuple(
        RemotePart(name=recordable(redact_text(name)), url=address(name, "url"), push_url=address(name, "pushurl"))
        for name in sorted({name for name, _ in settings})
    )

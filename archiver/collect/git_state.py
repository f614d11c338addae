"""Where a repository stands: what it follows, what is half done in it, what of it is not here."""

from __future__ import annotations

import os

from archiver.collect.command import recordable
from archiver.collect.git_commands import GitRefusedError, Repository
from archiver.collect.redaction import redact_text
from archiver.records.environment import UpstreamPart

_OPERATIONS = {
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}
"""Files and folders that git keeps while it waits for the user; a rebase may hold a cherry-pick."""


def upstream_of(repository: Repository) -> UpstreamPart:
    """The branch that the current one follows, and how far they are apart; no remote is asked.

    Raises:
        GitRefusedError: there is none.
    """
    try:
        name = repository.text("rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}")
        ahead, behind = repository.text("rev-list", "--left-right", "--count", "HEAD...@{upstream}").split()
    except GitRefusedError as error:
        raise GitRefusedError(f"the branch follows none: {error}") from error
    return UpstreamPart(branch=recordable(redact_text(name)), ahead=int(ahead), behind=int(behind))


def is_on_remote(repository: Repository, commit: str) -> bool:
    """Whether a branch of a remote, as last fetched or pushed, holds the commit."""
    return bool(repository.run("for-each-ref", "--count=1", "--contains", commit, "refs/remotes"))


def operation_under_way(repository: Repository) -> str | None:
    """What was begun and waits for the user to end it."""
    folder = repository.folder / os.fsdecode(repository.run("rev-parse", "--git-dir")[:-1])
    return next((name for file, name in _OPERATIONS.items() if (folder / file).exists()), None)


def is_shallow(repository: Repository) -> bool:
    """Whether the history ends somewhere because it was cloned so."""
    return repository.text("rev-parse", "--is-shallow-repository") == "true"


def is_sparse(repository: Repository) -> bool:
    """Whether the configuration asks for a part of the tree only."""
    try:
        return repository.text("config", "--type=bool", "core.sparseCheckout") == "true"
    except GitRefusedError as error:
        if error.status == 1:
            return False
        raise

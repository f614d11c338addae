"""What a working tree holds that its commit does not: the list of changes, and the patch that `git apply` takes."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from archiver.collect.command import recordable
from archiver.collect.git_commands import GitRefusedError, Repository, attempt_git, guarded, refusal
from archiver.collect.redaction import redact_text
from archiver.records.base import Unavailable
from archiver.records.environment import ChangesPart, PatchPart, StatusEntry
from archiver.storage.digests import sha256_of

MAXIMAL_PATCH_BYTES = 20 << 20
MAXIMAL_LISTED = 500

_DIFF = (
    "diff", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
    "--ignore-submodules=all", "--unified=3", "--inter-hunk-context=0",
    f"-O{os.devnull}",
)  # fmt: skip
_BINARY_HUNK = re.compile(rb"^(?:literal|delta) \d+\n(?:[A-Za-z].+\n)+", re.MULTILINE)
_LFS_OBJECT = re.compile(rb"^\+oid sha256:[0-9a-f]{64}$", re.MULTILINE)


@dataclass(frozen=True)
class WorkingTree:
    """What differs from the commit."""

    changes: ChangesPart | Unavailable
    patch: PatchPart | Unavailable
    filters_off: tuple[str, ...]
    patch_bytes: bytes = b""


def working_tree(root: Path | None, no_tree: Unavailable, maximal_patch_bytes: int, prefix: str = "") -> WorkingTree:
    """The changes below `root`; `prefix` is its path as the patch shall name it, with a `/` at the end."""
    if root is None:
        return WorkingTree(no_tree, no_tree, ())
    try:
        with guarded(root) as (repository, filters_off):
            changes = attempt_git(lambda: _changes(repository))
            patch, patch_bytes = _patch(repository, maximal_patch_bytes, prefix)
            return WorkingTree(changes, patch, filters_off, patch_bytes)
    except (GitRefusedError, OSError) as error:
        reason = refusal(error) if isinstance(error, GitRefusedError) else Unavailable(unavailable=str(error.strerror))
        return WorkingTree(reason, reason, ())


def _changes(repository: Repository) -> ChangesPart:
    words = repository.words(
        "status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames", "--ignore-submodules=dirty"
    )
    entries = tuple(
        StatusEntry(code=word[:2], path=recordable(redact_text(word[3:]))) for word in words[:MAXIMAL_LISTED]
    )
    return ChangesPart(count=len(words), entries=entries)


def _patch(repository: Repository, maximal_bytes: int, prefix: str) -> tuple[PatchPart | Unavailable, bytes]:
    prefixes = (f"--src-prefix=a/{prefix}", f"--dst-prefix=b/{prefix}")
    try:
        output = repository.capped(maximal_bytes, *_DIFF, *prefixes, _base(repository), "--")
    except GitRefusedError as error:
        return refusal(error), b""
    return described_patch(output.getvalue(), output.size_bytes, maximal_bytes)


def described_patch(patch: bytes, size_bytes: int, maximal_bytes: int) -> tuple[PatchPart, bytes]:
    """The record of a patch of which the first `maximal_bytes` are there, and the patch if it is to be kept."""
    if size_bytes > maximal_bytes:
        reason = f"it is larger than {maximal_bytes} bytes"
        return PatchPart(size_bytes=size_bytes, sha256=Unavailable(unavailable=reason), withheld=reason), b""
    withheld = "it looks like it holds a secret" if holds_secret(patch) else None
    part = PatchPart(
        size_bytes=size_bytes,
        sha256=sha256_of(patch),
        withheld=withheld,
        lfs_object_count=len(_LFS_OBJECT.findall(patch)),
    )
    return part, b"" if withheld else patch


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

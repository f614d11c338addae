"""The repositories inside a repository, and what is not committed in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from archiver.collect.command import recordable
from archiver.collect.git_commands import GitRefusedError, Repository, attempt_git, refusal
from archiver.collect.git_patch import WorkingTree, described_patch, working_tree
from archiver.collect.redaction import redact_remote, redact_text
from archiver.records.base import Unavailable
from archiver.records.environment import ChangesPart, PatchPart, SubmodulePart

MAXIMAL_DEPTH = 5
MAXIMAL_COUNT = 200
_NOT_CHECKED_OUT = Unavailable(unavailable="it is not checked out")


@dataclass
class Submodules:
    """All submodules, those inside of submodules too."""

    parts: tuple[SubmodulePart, ...] | Unavailable
    patch: PatchPart | Unavailable
    patch_bytes: bytes = b""
    dirty: bool = False


@dataclass
class _Walk:
    maximal_bytes: int
    parts: list[SubmodulePart] = field(default_factory=list)
    patches: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    refused: Unavailable | None = None


def collect_submodules(root: Path | None, maximal_patch_bytes: int) -> Submodules:
    """The submodules of the working tree `root`, and one patch of the changes to their tracked files, whose paths begin
    at `root`: `git apply` takes it there."""
    walk = _Walk(maximal_patch_bytes)
    try:
        if root is not None:
            _visit(walk, root, "", 0)
    except GitRefusedError as error:
        reason = refusal(error)
        return Submodules(reason, reason)
    dirty = any(isinstance(part.changes, ChangesPart) and part.changes.count for part in walk.parts)
    patch, patch_bytes = described_patch(b"".join(walk.patches), walk.size_bytes, maximal_patch_bytes)
    return Submodules(tuple(walk.parts), walk.refused or patch, b"" if walk.refused else patch_bytes, dirty)


def _visit(walk: _Walk, root: Path, prefix: str, depth: int) -> None:
    if depth == MAXIMAL_DEPTH or not (root / ".gitmodules").is_file():
        return
    settings = Repository(root).settings(r"^submodule\..*\.(path|url)$", "-f", ".gitmodules")
    paths = {name: value for (name, variable), value in settings.items() if variable == "path"}
    for name in sorted(paths)[: MAXIMAL_COUNT - len(walk.parts)]:
        path = prefix + paths[name]
        inner = _checked_out(root, paths[name])
        tree = working_tree(inner, _NOT_CHECKED_OUT, walk.maximal_bytes, f"{path}/")
        walk.parts.append(
            SubmodulePart(
                path=recordable(redact_text(path)),
                url=recordable(redact_remote(settings[name, "url"])) if (name, "url") in settings else None,
                recorded_commit=_commit(root, f"HEAD:{paths[name]}"),
                checked_out_commit=_NOT_CHECKED_OUT if inner is None else _commit(inner, "HEAD^{commit}"),
                changes=tree.changes,
            )
        )
        _keep_patch(walk, tree)
        if inner is not None:
            _visit(walk, inner, f"{path}/", depth + 1)


def _commit(folder: Path, name: str) -> str | Unavailable:
    return attempt_git(lambda: Repository(folder).text("rev-parse", "--verify", "--quiet", name))


def _checked_out(root: Path, path: str) -> Path | None:
    inner = root / path
    is_inside = inner.resolve().is_relative_to(root.resolve())
    return inner if is_inside and (inner / ".git").exists() else None


def _keep_patch(walk: _Walk, tree: WorkingTree) -> None:
    if not isinstance(tree.patch, PatchPart):
        walk.refused = walk.refused or (tree.patch if tree.patch != _NOT_CHECKED_OUT else None)
        return
    walk.size_bytes += tree.patch.size_bytes
    if tree.patch.withheld:
        reason = f"that of a submodule is withheld: {tree.patch.withheld}"
        walk.refused = walk.refused or Unavailable(unavailable=reason)
    elif walk.size_bytes <= walk.maximal_bytes:
        walk.patches.append(tree.patch_bytes)

"""Lineage by content: a run whose initial weights are the final or the best ones of another run descends from it.

The runs of one folder are looked through; a result is decoded only where the digest stands in its bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from archiver import layout
from archiver.archive.documents import MAXIMAL_DOCUMENT_BYTES
from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.naming import FOLDER_SUFFIX
from archiver.records.base import Unavailable
from archiver.records.lineage import ParentPart
from archiver.records.results import Results
from archiver.storage.reading import read_below

Which = Literal["final", "best"]

MAXIMAL_RUNS = 10_000
"""So many runs are looked through, the ones that changed last."""
MAXIMAL_RELATIVES = 20
"""So many are told."""


def find_parents(run: Run, initial_digest: str | None, stated: Run | None = None) -> list[ParentPart]:
    """The runs beside this one whose weights it began with, and the one that was stated.

    Args:
        run: the run that began.
        initial_digest: the digest of the weights it began with; None: not known.
        stated: what the user gave as `parent=`.
    """
    found = [] if stated is None else [_parent(run, stated, _results(stated), initial_digest, is_stated=True)]
    if initial_digest is not None:
        for other, results in _runs_that_mention(run, [initial_digest]):
            part = _parent(run, other, results, initial_digest, is_stated=False)
            if part.weights is not None and (stated is None or other.path.resolve() != stated.path.resolve()):
                found.append(part)
    return found[:MAXIMAL_RELATIVES]


def _parent(run: Run, other: Run, results: Results | None, digest: str | None, *, is_stated: bool) -> ParentPart:
    weights = _digests(results).get(digest) if results is not None and digest is not None else None
    beside = other.path.resolve().parent == run.path.resolve().parent
    return _part(other, other.path.resolve().name if beside else None, weights, digest, is_stated=is_stated)


def _results(run: Run) -> Results | None:
    try:
        return run.read_if_there(layout.RESULTS)
    except ArchiverError:
        return None


def find_children(run: Run, limit: int = MAXIMAL_RUNS) -> list[ParentPart]:
    """The runs beside this one that went on from it: the same parts, `run` and `folder` of the child.

    Args:
        run: whose results are read.
        limit: so many runs are looked through at most, the ones that changed last.
    """
    results = _results(run)
    digests = _digests(results) if results is not None else {}
    found = []
    for other, theirs in _runs_that_mention(run, [*digests, f'"{run.path.name}"'], limit):
        digest = theirs.initial_weights_digest
        weights = digests.get(digest) if isinstance(digest, str) and digest != theirs.weights_digest else None
        is_stated = any(parent.is_stated and parent.folder == run.path.name for parent in theirs.parents)
        if weights is not None or is_stated:
            found.append(_part(other, other.path.name, weights, digest, is_stated=is_stated))
    return found[:MAXIMAL_RELATIVES]


def _digests(results: Results) -> dict[str, Which]:
    best = results.best_epoch
    found: dict[Any, Which] = {} if isinstance(best, Unavailable) else {best.weights_digest: "best"}
    found[results.weights_digest] = "final"
    return {digest: which for digest, which in found.items() if isinstance(digest, str)}


def _part(run: Run, folder: str | None, weights: Which | None, digest: Any, *, is_stated: bool) -> ParentPart:
    return ParentPart(
        run=run.name,
        folder=folder,
        seal_id=run.seal_id,
        weights=weights,
        weights_digest=digest if weights is not None else None,
        is_stated=is_stated,
    )


def _runs_that_mention(run: Run, texts: Sequence[str], limit: int = MAXIMAL_RUNS) -> Iterator[tuple[Run, Results]]:
    """The other runs of the folder in whose results one of the texts stands, and these; by name."""
    wanted = [text.encode() for text in texts]
    for folder in sorted(_folders(run.path.parent, limit)):
        other = Run(folder, folder.name.removesuffix(FOLDER_SUFFIX))
        if folder.name == run.path.name:
            continue
        try:
            data = read_below(folder, layout.RESULTS.path(other.name), MAXIMAL_DOCUMENT_BYTES)
            if any(text in data for text in wanted):
                yield other, other.read(layout.RESULTS)
        except (OSError, ArchiverError):
            continue


def _folders(store: Path, limit: int) -> list[Path]:
    try:
        with os.scandir(store) as entries:
            found = [
                each for each in entries if each.name.endswith(FOLDER_SUFFIX) and each.is_dir(follow_symlinks=False)
            ]
            if len(found) > limit:
                found.sort(key=lambda each: each.stat(follow_symlinks=False).st_mtime_ns, reverse=True)
    except OSError:
        return []
    return [Path(each.path) for each in found[:limit]]

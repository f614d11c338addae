"""The other runs a report links to: earlier versions of the same name, and those this one went on from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from archiver import layout
from archiver.archive.run import Run
from archiver.archive.versions import version_of, versions_of
from archiver.comparison.causes import causes_between
from archiver.comparison.differences import Cause
from archiver.comparison.evaluations import ScalarDifference, headline_between
from archiver.errors import ArchiverError
from archiver.records.lineage import ParentPart
from archiver.records.results import Results
from archiver.report.markdown import Safe, format_score, markdown_text
from archiver.report.tables import Table, made

MAXIMAL_VERSIONS = 10
MAXIMAL_CHANGES = 30
MAXIMAL_RESULTS = 12


@dataclass(frozen=True)
class Versions:
    """What a report says of the earlier versions of its name."""

    table: Table
    """They, the last ones."""
    previous: Safe
    """Link to the one before this."""
    changes: Table
    """What was done differently since then."""
    results: Table
    """The metrics of both."""


def versions(run: Run) -> Versions | None:
    """The versions before this one; None: it is the first."""
    own = version_of(run)
    earlier = {number: other for number, other in versions_of(run).items() if number < own}
    if not earlier:
        return None
    rows = [_row(other) for _, other in list(earlier.items())[-MAXIMAL_VERSIONS:]]
    previous = earlier[max(earlier)]
    head = ("", "before", "now")
    return Versions(
        table=made(("version", "status", "ended", "monitored"), "lllr", [row for row in rows if row is not None]),
        previous=link(previous.name, previous.path.name),
        changes=made(head, "lll", [_cells(each) for each in causes_between(previous, run)], MAXIMAL_CHANGES),
        results=made(head, "lrr", [_scores(each) for each in headline_between(previous, run)], MAXIMAL_RESULTS),
    )


def _row(run: Run) -> tuple[object, ...] | None:
    try:
        results: Results | None = run.read_if_there(layout.RESULTS)
    except ArchiverError:
        results = None
    if results is None:
        return link(run.name, run.path.name), "not sealed", None, None
    best: Any = results.best_epoch
    value = f"{markdown_text(best.monitor, 60)} {format_score(best.value)}" if hasattr(best, "monitor") else ""
    return link(run.name, run.path.name), results.status, f"{results.ended:%Y-%m-%d %H:%M} UTC", Safe(value)


def _cells(cause: Cause) -> tuple[object, ...]:
    return tuple(markdown_text(text, 120) for text in (cause.subject, *cause.texts))


def _scores(scores: ScalarDifference) -> tuple[object, ...]:
    return markdown_text(scores.metric, 60), format_score(scores.before), format_score(scores.after)


def link(name: str, folder: str | None) -> Safe:
    """The run, with a link to its report where it stands beside this one."""
    return Safe(f"[{markdown_text(name)}](../{quote(folder)}/README.md)") if folder else markdown_text(name)


def parents_text(parents: tuple[ParentPart, ...]) -> Safe:
    """Which runs this one went on from, and with which of their weights."""
    return Safe("; ".join(f"{link(each.run, each.folder)}{_with(each)}" for each in parents))


def _with(parent: ParentPart) -> str:
    if parent.weights is None:
        return ", as was stated; it began with other weights than that one's"
    return f", whose {'last' if parent.weights == 'final' else 'best'} weights it began with"

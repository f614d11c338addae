"""The runs beside a run that belong to it, as plain lines for `archiver show`."""

from __future__ import annotations

from collections.abc import Iterator

from archiver import layout
from archiver.archive.findings import printable
from archiver.archive.lineage import find_children
from archiver.archive.run import Run
from archiver.archive.versions import version_of, versions_of
from archiver.comparison.causes import causes_between
from archiver.comparison.evaluations import headline_between
from archiver.errors import ArchiverError

MAXIMAL_NEIGHBOURS = 2000
"""So many runs of the folder are looked through for some that went on from this one."""
MAXIMAL_NAMES = 6
MAXIMAL_CHANGES = 6

Rows = Iterator[tuple[str, str]]


def relative_rows(run: Run) -> Rows:
    """`(what, text)`: versions and what changed, the runs it went on from, and those that went on from it."""
    for what, text in (*_original(run), *_versions(run), *_parents(run), *_children(run)):
        yield what, printable(text)


def _original(run: Run) -> Rows:
    """Of a run that `archiver reproduce` made."""
    try:
        record = run.read_if_there(layout.REPRODUCTION)
    except ArchiverError:
        return
    if record is not None:
        yield "repeats", f"{record.original.name}: {record.verdict.judgement}, {record.verdict.summary}"


def _versions(run: Run) -> Rows:
    found, own = versions_of(run), version_of(run)
    others = [other.name for number, other in found.items() if number != own]
    if others:
        yield "other versions", _some(others)
    earlier = [number for number in found if number < own]
    if not earlier:
        return
    previous = found[max(earlier)]
    results = [scores.text for scores in headline_between(previous, run)]
    changes = [cause.text for cause in causes_between(previous, run)]
    yield f"since {previous.name}", _some(changes, MAXIMAL_CHANGES) if changes else "nothing that is compared changed"
    if results:
        yield "", _some(results)


def _parents(run: Run) -> Rows:
    try:
        results = run.read_if_there(layout.RESULTS)
    except ArchiverError:
        return
    for place, parent in enumerate(results.parents if results is not None else ()):
        with_what = f"its {parent.weights} weights" if parent.weights else "as was stated; its weights are others"
        yield "" if place else "went on from", f"{parent.run}: {with_what}"


def _children(run: Run) -> Rows:
    children = [child.run for child in find_children(run, MAXIMAL_NEIGHBOURS)]
    if children:
        yield "gone on from by", _some(children)


def _some(texts: list[str], limit: int = MAXIMAL_NAMES) -> str:
    more = len(texts) - limit
    return "; ".join(texts[:limit]) + (f"; and {more} more" if more > 0 else "")

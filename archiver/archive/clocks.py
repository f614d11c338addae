"""Clocks that disagree: no fault of an archive, since every time in it is what some machine took for the time."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from archiver import layout
from archiver.archive.inspection import Inspection
from archiver.records.base import utc_now
from archiver.storage.journal import JournalContents

TOLERANCE = timedelta(minutes=2)
"""Clocks of two machines that nobody set differ by so much without anybody minding."""


def inform_of_clocks(inspection: Inspection, journal: JournalContents | None) -> None:
    """Tell of times that are still to come on this machine, and of a clock that was set back during the run."""
    times = [event.utc for event in journal.events] if journal is not None else []
    path, now = layout.JOURNAL.pattern, utc_now()
    if times and max(times) > now + TOLERANCE:
        message = (
            f"has times up to {_short(max(times))}, {_span(max(times) - now)} after what this machine takes for now"
        )
        inspection.inform("clock", path, f"{message}: one of the two clocks is wrong")
    elif inspection.newest_ns > (now + TOLERANCE).timestamp() * 1e9:
        inspection.inform("clock", "", "files have times that are still to come on this machine: another clock or zone")
    back = [(after, before - after) for before, after in pairwise(times) if before - after > TOLERANCE]
    if back:
        after, step = max(back, key=lambda each: each[1])
        message = f"the clock went back by {_span(step)} before {_short(after)} (set anew, or another machine went on)"
        inspection.inform("clock", path, message)


def _short(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def _span(span: timedelta) -> str:
    return str(timedelta(seconds=round(span.total_seconds())))

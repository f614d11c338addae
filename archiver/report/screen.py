"""What the report says beyond the records' own numbers, as plain lines for `archiver show`."""

from __future__ import annotations

import html
import re

from archiver.archive.run import Run
from archiver.report.cautions import cautions
from archiver.report.context import read_records
from archiver.report.markdown import format_bytes
from archiver.report.reproducibility import checklist, score
from archiver.report.verdicts import verdicts

MAXIMAL_CAUTIONS = 3
_SHOWN = "Generalisation"
_MARKS = re.compile(r"\*\*|`|[\u2068\u2069]")


def verdict_rows(run: Run) -> list[tuple[str, str]]:
    """`(what, text)`: generalisation, peak memory, and what to watch out for."""
    records = read_records(run)
    rows = [(what.lower(), plain_text(text)) for what, text in verdicts(records, run.status) if what == _SHOWN]
    telemetry = records["telemetry"]
    if telemetry is not None and isinstance(telemetry.peak_rss_bytes, int):
        of = format_bytes(telemetry.machine_memory_bytes)
        rows.append(("peak memory", f"{format_bytes(telemetry.peak_rss_bytes)} of {of}"))
    found = cautions(run, records)
    shown = enumerate(found[:MAXIMAL_CAUTIONS])
    rows += [("" if place else "watch out", plain_text(sentence)) for place, sentence in shown]
    more = len(found) - MAXIMAL_CAUTIONS
    return [*rows, ("", f"and {more} more, see the report")] if more > 0 else rows


def reproducibility_rows(run: Run) -> list[tuple[str, str]]:
    """`(what, text)`: in how many respects nothing is in the way of a repetition, and what is in the others."""
    rows = checklist(read_records(run))
    found = [f"{plain_text(each.text)} ({plain_text(each.remedy)})" for row in rows for each in row.found]
    told = f"nothing known in the way in {score(rows)} respects"
    return [("get it again", "; ".join([told, *found]))]


def plain_text(markdown: str) -> str:
    """Our Markdown of one line without its marks; text from outside has none, since these are escaped."""
    return html.unescape(_MARKS.sub("", markdown))

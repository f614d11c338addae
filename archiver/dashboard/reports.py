"""The report of a run as a page: made from README.md here, so that nothing of a stranger's README.html runs."""

from __future__ import annotations

import os

from archiver import layout
from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.report.page import render_page
from archiver.storage.reading import read_below

MAXIMAL_REPORT_BYTES = 32 << 20
MAXIMAL_FIGURES = 50
_FOLDER = "figures"


def report_page(run: Run) -> str | None:
    """The page; None: there is no README.md that can be read."""
    try:
        text = read_below(run.path, layout.README.path(run.name), MAXIMAL_REPORT_BYTES).decode("utf-8", "replace")
    except (OSError, ArchiverError):
        return None
    return render_page(text, run.name, _figures(run))


def _figures(run: Run) -> dict[str, bytes]:
    found = {}
    try:
        names = sorted(name for name in os.listdir(run.path / _FOLDER) if name.endswith(".svg"))
    except OSError:
        return {}
    for name in names[:MAXIMAL_FIGURES]:
        try:
            found[f"{_FOLDER}/{name}"] = read_below(run.path, f"{_FOLDER}/{name}", MAXIMAL_REPORT_BYTES)
        except (OSError, ArchiverError):
            continue
    return found

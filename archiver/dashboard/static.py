"""The table of runs and their reports as plain files, to be published by any web server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from archiver.archive.findings import printable
from archiver.archive.run import Run
from archiver.catalog import open_store
from archiver.catalog.columns import LISTED
from archiver.catalog.output import cell_text, write_runs
from archiver.dashboard.reports import report_page
from archiver.errors import ArchiverError, ArgumentError
from archiver.records.base import utc_now
from archiver.report.page import csp_hash, page_environment, resource_text
from archiver.storage.files import write_text

GENERATOR = '<meta name="generator" content="archiver dashboard --static">'
MAXIMAL_METRICS = 6


def write_static(store_path: Path, out: Path) -> int:
    """Write `index.html`, `runs.csv`, `runs.json`, `ensemble_log.csv` and a page for each run that has a report.

    Args:
        store_path: the folder of runs.
        out: a folder that is new, empty, or was written by this before.

    Returns:
        the number of runs.

    Raises:
        ArgumentError: there is no such store, or something else is in the folder.
        StorageError: the file system refused.
    """
    store = open_store(store_path)
    _require_ours(store_path, out)
    metrics = _metrics(store.metric_names())
    columns = [*LISTED, *metrics]
    rows = store.runs(columns=["path", *columns])
    listed = [{name: row[name] for name in columns} for row in rows]
    pages = [_write_report(store_path, str(row["path"]), out) for row in rows]
    write_runs(rows, "csv", out / "runs.csv")
    write_runs(rows, "json", out / "runs.json")
    log = store.ensemble_log()
    if log:
        write_runs(log, "csv", out / "ensemble_log.csv")
    write_text(out / "index.html", _index(columns, listed, pages, has_ensembles=bool(log)))
    return len(rows)


def _require_ours(store: Path, out: Path) -> None:
    if out.resolve().is_relative_to(store.resolve()):
        raise ArgumentError(f"Received --static {out}, which lies in the folder of runs. Expected another folder.")
    if not out.exists() or (out.is_dir() and not os.listdir(out)):
        return
    index = out / "index.html"
    if not index.is_file() or GENERATOR not in index.read_text(encoding="utf-8", errors="replace")[:2000]:
        raise ArgumentError(
            f"Received --static {out}, where other files are. Expected a folder that is new, empty, or written by "
            "`archiver dashboard --static`."
        )


def _metrics(names: list[str]) -> list[str]:
    """The first ones, those of validation and test before the others."""
    ordered = sorted(names, key=lambda name: (not name.startswith(("val_", "test_")), name))
    return [name for name in ordered if name not in LISTED][:MAXIMAL_METRICS]


def _write_report(store: Path, path: str, out: Path) -> str | None:
    """The address of the run's page, from the index; None: it has no report."""
    try:
        page = report_page(Run.open(store / path))
    except ArchiverError:
        return None
    if page is None:
        return None
    write_text(out / "runs" / path / "README.html", page)
    return f"runs/{quote(path)}/README.html"


def _index(columns: list[str], rows: list[dict[str, Any]], pages: list[str | None], *, has_ensembles: bool) -> str:
    style, script = resource_text("report.css"), resource_text("index.js")
    cells = [[_cell(name, value) for name, value in row.items()] for row in rows]
    text: str = (
        page_environment()
        .get_template("index.html.j2")
        .render(
            columns=columns,
            rows=list(zip(pages, cells, strict=True)),
            has_ensembles=has_ensembles,
            generator=GENERATOR,
            made=f"{utc_now():%Y-%m-%d %H:%M} UTC",
            style=style,
            script=script,
            style_hash=csp_hash(f"\n{style}\n"),
            script_hash=csp_hash(script),
        )
    )
    return text


def _cell(name: str, value: Any) -> tuple[str, str, bool]:
    """What is shown, what it is sorted by, and whether it is a number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return cell_text(name, value), repr(value) if is_number else printable(str(value or "")), is_number

"""Runs as a table on the terminal, CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from archiver.archive.findings import printable
from archiver.catalog.columns import COLUMNS, ENSEMBLE_COLUMNS
from archiver.errors import ArgumentError, MissingExtraError
from archiver.storage.files import replacing, write_bytes

Rows = Sequence[Mapping[str, Any]]

MEBIBYTE = 1 << 20
MINUTE_SECONDS = 60
HOUR_SECONDS = 3600
_COLUMNS = {column.name: column for column in (*ENSEMBLE_COLUMNS, *COLUMNS)}
SPREADSHEET_SIGNS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a text that begins so for a formula."""


def write_runs(rows: Rows, form: str, output: Path | None) -> None:
    """Write rows to a file, or to standard output.

    Args:
        rows: all with the same names.
        form: "table", "csv", "json" or "parquet".
        output: the file; None: standard output.

    Raises:
        ArgumentError: Parquet without a file.
        MissingExtraError: Parquet without pyarrow.
        StorageError: the file system refused.
    """
    if form == "parquet":
        _write_parquet(rows, output)
        return
    text = {"table": _table, "csv": _csv, "json": _json}[form](rows)
    if output is None:
        sys.stdout.write(text)
    else:
        write_bytes(output, text.encode())


def _json(rows: Rows) -> str:
    return json.dumps([dict(row) for row in rows], indent=2, allow_nan=False) + "\n"


def _csv(rows: Rows) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if rows:
        writer.writerow([_plain(name) for name in rows[0]])
    writer.writerows([_plain(value) for value in row.values()] for row in rows)
    return text.getvalue()


def _plain(value: Any) -> Any:
    """A text that neither a spreadsheet nor a terminal obeys."""
    if not isinstance(value, str):
        return value
    return f"'{printable(value)}" if value.startswith(SPREADSHEET_SIGNS) else printable(value)


def _write_parquet(rows: Rows, output: Path | None) -> None:
    if output is None:
        raise ArgumentError("Received --format parquet without a file. Expected --output FILE too.")
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow is not installed. pip install 'keras-archiver[dataframe]'") from error
    with replacing(output) as temporary:
        parquet.write_table(pa.Table.from_pylist([dict(row) for row in rows]), temporary)


def _table(rows: Rows) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return "none found\n"
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        is_number = any(isinstance(row[name], int | float) for row in rows)
        table.add_column(Text(printable(name)), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell_text(name, value)) for name, value in row.items()))
    console = Console(highlight=False, file=io.StringIO(), width=None if sys.stdout.isatty() else 10_000)
    console.print(table)
    found: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in found.splitlines()) + "\n"


def cell_text(name: str, value: Any) -> str:
    """A value for a reader; no control characters."""
    column = _COLUMNS.get(name)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if column is not None and column.kind == "time":
        return str(value)[:16].replace("T", " ")
    if column is not None and column.unit == "bytes":
        return f"{value / MEBIBYTE:,.0f} MiB"
    if column is not None and column.unit == "seconds":
        return _duration(value)
    if column is not None and column.unit == "mb":
        return f"{value:,.1f}"
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))


def _duration(seconds: float) -> str:
    if seconds < MINUTE_SECONDS:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), MINUTE_SECONDS)
    hours, minutes = divmod(minutes, HOUR_SECONDS // MINUTE_SECONDS)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"

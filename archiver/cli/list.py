"""`archiver list`."""

from __future__ import annotations

from pathlib import Path

import click

FORMATS = ("table", "csv", "json", "parquet")


@click.command("list")
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--where", metavar="EXPRESSION", help="Only runs of which this holds; see below.")
@click.option("--sort", default="-created", show_default=True, metavar="NAMES", help="By commas; -name: largest first.")
@click.option("--columns", metavar="NAMES", help="Columns and metrics, by commas.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many runs.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
@click.option("--names", "only_names", is_flag=True, help="Show the names of all columns and metrics instead.")
def command(  # noqa: PLR0917 - click names them
    store: Path,
    where: str | None,
    sort: str,
    columns: str | None,
    limit: int | None,
    form: str,
    output: Path | None,
    *,
    only_names: bool,
) -> None:
    """List the runs of a folder of archives.

    \b
    Example:
      archiver list runs
      archiver list runs --where "val_accuracy > 0.9 and peak_rss < 4GB" --sort -val_accuracy
      archiver list runs --where 'status != "complete" or exception is not null'
      archiver list runs --columns name,val_loss,training_seconds --format csv --output runs.csv

    \b
    Expressions compare columns and metrics with values: = != < <= > >=, contains, in (...), is null, joined by
    and, or, not and parentheses. Texts stand in quotes, names of odd characters in `backquotes`; numbers may have
    a unit: KB MB GB TB, KiB MiB GiB TiB, ms s min h d, C, %.
    """
    from archiver.catalog import open_store
    from archiver.catalog.output import write_runs

    opened = open_store(store)
    if only_names:
        rows = [dict(zip(("name", "kind", "description"), each, strict=True)) for each in opened.names()]
    else:
        wanted = None if columns is None else _names(columns)
        rows = opened.runs(where, sort=_names(sort), columns=wanted, limit=limit)
    write_runs(rows, form, output)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]

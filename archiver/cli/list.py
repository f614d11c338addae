"""`archiver list`."""

from __future__ import annotations

from pathlib import Path

import click

from archiver.cli.places import PLACE, Place

FORMATS = ("table", "csv", "json", "parquet")


@click.command("list")
@click.argument("store", type=PLACE)
@click.option("--where", metavar="EXPRESSION", help="Only runs of which this holds; see below.")
@click.option("--sort", metavar="NAMES", help="By commas; -name: largest first.  [default: -created]")
@click.option("--columns", metavar="NAMES", help="Columns and metrics, by commas.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many runs.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
@click.option("--ensembles", is_flag=True, help="List what ensembles have tried instead of runs.")
@click.option("--names", "only_names", is_flag=True, help="Show the names of all columns and metrics instead.")
def command(  # noqa: PLR0917 - click names them
    store: Place,
    where: str | None,
    sort: str | None,
    columns: str | None,
    limit: int | None,
    form: str,
    output: Path | None,
    *,
    ensembles: bool,
    only_names: bool,
) -> None:
    """List the runs of a folder of archives, or of a store elsewhere (s3://...).

    \b
    Example:
      archiver list runs
      archiver list runs --where "val_accuracy > 0.9 and peak_rss < 4GB" --sort -val_accuracy
      archiver list runs --where 'status != "complete" or exception is not null'
      archiver list runs --ensembles --where "training_memory > 100MB" --sort -training_memory
      archiver list runs --columns name,val_loss,training_seconds --format csv --output runs.csv

    \b
    Expressions compare columns and metrics with values: = != < <= > >=, contains, in (...), is null, joined by
    and, or, not and parentheses. Texts stand in quotes, names of odd characters in `backquotes`; numbers may have
    a unit: KB MB GB TB, KiB MiB GiB TiB, ms s min h d, C, %.
    """
    from archiver.catalog import DEFAULT_SORT, open_store
    from archiver.catalog.output import write_runs

    opened = open_store(store)
    if only_names:
        known = opened.names("ensemble_log" if ensembles else "runs")
        rows = [dict(zip(("name", "kind", "description"), each, strict=True)) for each in known]
    else:
        wanted = None if columns is None else _names(columns)
        found = opened.ensemble_log if ensembles else opened.runs
        order = _names(sort) if sort is not None else () if ensembles else DEFAULT_SORT
        rows = found(where, sort=order, columns=wanted, limit=limit)
    write_runs(rows, form, output)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]

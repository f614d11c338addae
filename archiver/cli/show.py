"""`archiver show`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("show")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
def command(path: Path) -> None:
    """Show a run on one screen: status, results, data, model, training, environment.

    \b
    Example:
      archiver show runs/digits_cnn_base_models
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from archiver.archive.run import Run
    from archiver.archive.summary import summary_rows

    run = Run.open(path)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in summary_rows(run):
        table.add_row(key, Text(value))
    Console(highlight=False).print(table)

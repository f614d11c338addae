"""`archiver show`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("show")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
def command(path: Path) -> None:
    """Show a run on one screen: status, results, curves, what to watch out for, data, model, training, environment.

    RUN is the folder of a run, or a bag or a zip file with one in it.

    \b
    Example:
      archiver show runs/digits_cnn_base_models
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from archiver.archive.run import Run
    from archiver.archive.summary import summary_rows
    from archiver.archive.unwrapping import unwrapped
    from archiver.report.relatives import relative_rows
    from archiver.report.screen import reproducibility_rows, verdict_rows

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    with unwrapped(path) as wrapped:
        run = Run.open(wrapped.folder)
        rows = list(summary_rows(run))
        place = next((place for place, (key, _) in enumerate(rows) if key == "began"), len(rows))
        derived = [*verdict_rows(run), *reproducibility_rows(run), *relative_rows(run)]
        for key, value in [*rows[:place], *derived, *rows[place:]]:
            table.add_row(Text(_shortened(key, 24)), Text(_shortened(wrapped.named(value), 240)))
    Console(highlight=False).print(table)


def _shortened(text: str, limit: int) -> str:
    """What would not fit one screen: the report has it whole."""
    return text if len(text) <= limit else text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"

"""`archiver show`."""

from __future__ import annotations

import click

from archiver.cli.places import PLACE, Place, folder_at


@click.command("show")
@click.argument("path", type=PLACE, metavar="RUN")
def command(path: Place) -> None:
    """Show a run on one screen: status, results, curves, what to watch out for, data, model, training, environment.

    RUN is the folder of a run, or a bag or a zip file with one in it, or the URL of one of these (s3://...), of which
    only documents are copied here.

    \b
    Example:
      archiver show runs/digits_cnn_base_models
      archiver show s3://bucket/runs/digits_cnn_base_models
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
    with folder_at(path) as place, unwrapped(place.path) as wrapped:
        run = Run.open(wrapped.folder)
        rows = list(summary_rows(run))
        begin = next((number for number, (key, _) in enumerate(rows) if key == "began"), len(rows))
        derived = [*verdict_rows(run), *reproducibility_rows(run), *relative_rows(run)]
        for key, value in [*rows[:begin], *derived, *rows[begin:]]:
            table.add_row(Text(_shortened(key, 24)), Text(_shortened(place.named(wrapped.named(value)), 240)))
    Console(highlight=False).print(table)


def _shortened(text: str, limit: int) -> str:
    """What would not fit one screen: the report has it whole."""
    return text if len(text) <= limit else text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"

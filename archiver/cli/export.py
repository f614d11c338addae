"""`archiver export`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from archiver.archive.run import Run


@dataclass(frozen=True)
class Wish:
    """What was asked for on the command line."""

    run: Run
    output: Path | None
    tracking_uri: str | None
    experiment: str | None
    with_artifacts: bool

    def place(self, suffix: str) -> Path:
        """Where to write: as asked for, else beside the run's folder, by its name and a suffix."""
        folder = self.run.path.resolve()
        return self.output or folder.with_name(folder.name + suffix)


def _to_bag(wish: Wish) -> str:
    from archiver.export.bag import export_bag

    made = export_bag(wish.run, wish.place("_bag"))
    why = f": no hard links could be made ({made.no_links})" if made.no_links else ""
    return f"{made.path}: {made.linked_count} files linked, {made.copied_count} copied{why}"


def _to_zip(wish: Wish) -> str:
    from archiver.export.zipped import export_zip

    path = export_zip(wish.run, wish.place(".zip"))
    return f"{path}: {path.stat().st_size:,} bytes"


FORMS: dict[str, Callable[[Wish], str]] = {
    "bag": _to_bag,
    "zip": _to_zip,
}
"""By `--to`: makes it, and returns the line to print."""


@click.command("export")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--to", "form", type=click.Choice(list(FORMS)), required=True, help="What to make.")
@click.option("--output", type=click.Path(path_type=Path), help="Where to write; by default beside the run.")
@click.option("--tracking-uri", help="Of mlflow: the tracking store; by default MLFLOW_TRACKING_URI.")
@click.option("--experiment", help="Of mlflow: the experiment; by default that of the run's name.")
@click.option("--artifacts/--without-artifacts", default=True, help="Of mlflow: whether the files go there, too.")
def command(
    path: Path, form: str, output: Path | None, tracking_uri: str | None, experiment: str | None, artifacts: bool
) -> None:
    """Make of a sealed run what other tools take; the run stays as it is.

    \b
    bag        a bag (BagIt 1.0), by hard links
    zip        one zip file, always the same bytes
    croissant  a description of the data set (Croissant)
    mlflow     a run in an MLflow tracking store

    The run is verified first. What is there already is never overwritten. `archiver verify` takes bags and zip files as
    they are.

    \b
    Example:
      archiver export runs/digits_cnn_base_models --to bag
      archiver export runs/digits_cnn_base_models --to mlflow --tracking-uri http://127.0.0.1:5000
    """
    from archiver.archive.run import Run
    from archiver.errors import ArgumentError
    from archiver.progress import DelayedBar

    if form == "mlflow" and output is not None:
        raise ArgumentError("Received --output with --to mlflow. Expected --tracking-uri: a store, no file.")
    if form != "mlflow" and (tracking_uri is not None or experiment is not None or not artifacts):
        raise ArgumentError(f"Received options of mlflow with --to {form}. Expected --output alone.")
    with DelayedBar("exporting"):
        line = FORMS[form](Wish(Run.open(path), output, tracking_uri, experiment, artifacts))
    click.echo(line)

"""`archiver export`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from archiver.archive.run import Run


@dataclass(frozen=True)
class Wish:
    """What was asked for on the command line."""

    run: Run
    output: Path | None
    license: str | None
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


def _to_croissant(wish: Wish) -> str:
    from archiver.export.croissant import export_croissant

    return str(export_croissant(wish.run, wish.place(".croissant.json"), license_text=wish.license))


def _to_mlflow(wish: Wish) -> str:
    from archiver.export.mlflow_store import export_mlflow

    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # seven make a server that is not there take minutes
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nobody but the store is told
    made = export_mlflow(
        wish.run, tracking_uri=wish.tracking_uri, experiment=wish.experiment, with_artifacts=wish.with_artifacts
    )
    what = "logged as" if made.is_new else "nothing written: this seal is there already as"
    return f"{what} run {made.run_id} of the experiment {made.experiment} ({made.store})"


FORMS: dict[str, Callable[[Wish], str]] = {
    "bag": _to_bag,
    "zip": _to_zip,
    "croissant": _to_croissant,
    "mlflow": _to_mlflow,
}
"""By `--to`: makes it, and returns the line to print."""

_OPTIONS_OF = {
    "output": ("bag", "zip", "croissant"),
    "license": ("croissant",),
    "tracking_uri": ("mlflow",),
    "experiment": ("mlflow",),
    "with_artifacts": ("mlflow",),
}
"""By option: the forms that it is for."""


@click.command("export")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--to", "form", type=click.Choice(list(FORMS)), required=True, help="What to make.")
@click.option("--output", type=click.Path(path_type=Path), help="Where to write; by default beside the run.")
@click.option("--license", help="Of croissant: the licence of the data, best as a URL.")
@click.option("--tracking-uri", help="Of mlflow: the tracking store; by default as MLflow's settings have it.")
@click.option("--experiment", help="Of mlflow: by default the run's condition, or else its name.")
@click.option("--with-artifacts/--without-artifacts", default=True, help="Of mlflow: whether the files go there, too.")
def command(path: Path, *, form: str, **options: Any) -> None:
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
    from archiver.archive.findings import printable
    from archiver.archive.run import Run
    from archiver.errors import ArgumentError
    from archiver.progress import DelayedBar

    for name, forms in _OPTIONS_OF.items():
        if form not in forms and options[name] not in (None, True):
            fitting = " or ".join(f"--to {each}" for each in forms)
            raise ArgumentError(f"Received --{name.replace('_', '-')} with --to {form}. Expected {fitting}.")
    with DelayedBar("exporting"):
        line = FORMS[form](Wish(Run.open(path), **options))
    click.echo(printable(line))

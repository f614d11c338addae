"""`archiver index`."""

from __future__ import annotations

import click

from archiver.cli.places import PLACE, Place


@click.command("index")
@click.argument("store", type=PLACE)
@click.option("--all", "everything", is_flag=True, help="Read all archives again, not only those that changed.")
@click.option(
    "--cluster", metavar="ADDRESS", help="Of a Dask scheduler: its workers read the archives, at the same path."
)
def command(store: Place, *, everything: bool, cluster: str | None) -> None:
    """Make the catalogue of a folder of archives, or of a store elsewhere (s3://...), or bring it up to date.

    It can be deleted at any time: the archives are the truth.

    \b
    Example:
      archiver index runs
    """
    from archiver.catalog import open_store

    opened = open_store(store, refreshed=False)
    result = opened.refresh(everything=everything, cluster=cluster)
    click.echo(
        f"{result.run_count} runs in {opened.catalogue_path}: {result.read_count} read, {result.dropped_count} gone, "
        f"{result.elapsed_seconds:.2f} s"
    )
    if result.problem_count:
        click.echo(
            f"{result.problem_count} could not be read whole; see: archiver list {store} "
            "--where 'problem is not null' --columns path,problem"
        )

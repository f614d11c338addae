"""`archiver pull`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("pull")
@click.argument("url", metavar="URL")
@click.argument("folder", type=click.Path(path_type=Path), default=".")
def command(url: str, folder: Path) -> int:
    """Get a run from a store, and verify it.

    URL is that of the run. A FOLDER that is there gets the run under its own name; one that is not there becomes it.
    The run appears when all of it is there; a pull that was interrupted goes on. Ends with 0 when the run is whole,
    with 1 when it is not, or not sealed.

    \b
    Example:
      archiver pull s3://bucket/runs/digits_cnn_base_models
      archiver pull s3://bucket/runs/digits_cnn_base_models copies/digits
    """
    from archiver.cli.verify_text import as_text
    from archiver.progress import DelayedBar
    from archiver.remote.downloading import pull

    with DelayedBar("pulling") as bar:
        pulled = pull(url, folder, on_bytes=bar.advance)
    kept = f", {pulled.kept_count} had come before" if pulled.kept_count else ""
    click.echo(f"{pulled.received_count} files received ({pulled.received_bytes} bytes){kept}")
    click.echo(as_text(pulled.report))
    return 0 if pulled.report.is_whole else 1

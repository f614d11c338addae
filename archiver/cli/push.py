"""`archiver push`."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("push")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
@click.argument("url", metavar="URL")
@click.option("--replace", is_flag=True, help="Also where another run is there, or this one further along.")
def command(path: Path, url: str, *, replace: bool) -> None:
    """Bring a run to a store: s3://, gs://, abfs://, hf://, whatever fsspec opens.

    URL is that of the store; the run keeps its folder's name there. What is there already is not sent again, so that
    a push that was interrupted goes on. Every file is verified by its digest once it is there. The seal is sent last.

    \b
    Example:
      archiver push runs/digits_cnn_base_models s3://bucket/runs
    """
    from archiver.progress import DelayedBar
    from archiver.remote.uploading import push
    from archiver.storage.hashing import regular_files

    total = sum(regular_files(path).values()) if sys.stderr.isatty() and path.is_dir() else 0
    with DelayedBar("pushing", total) as bar:
        pushed = push(path, url, replace=replace, on_bytes=bar.advance)
    removed = f", {pushed.removed_count} removed" if pushed.removed_count else ""
    sent = f"{pushed.sent_count} files sent ({pushed.sent_bytes} bytes)"
    click.echo(f"{pushed.url}: {sent}, {pushed.kept_count} were there{removed}")
    click.echo(f"seal id: {pushed.seal_id}" if pushed.seal_id else "not sealed, here or there")

"""`archiver lock`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("lock")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
def command(path: Path) -> None:
    """Add the hashes of the installed packages' files, as the index has them, and seal again.

    Asks the index that pip is set up for, installs nothing, and writes environment/pylock.toml (PEP 751), from which
    pip and uv make the environment again.

    \b
    Example:
      archiver lock runs/digits_cnn_base_models
    """
    from archiver.archive.findings import printable
    from archiver.archive.run import Run
    from archiver.progress import DelayedBar
    from archiver.reproduction.locking import lock_environment

    run = Run.open(path)
    with DelayedBar("asking the index") as bar:
        result = lock_environment(run, bar.advance)
    for name, reason in result.left_out.items():
        click.echo(printable(f"left out: {name}: {reason}"))
    click.echo(f"locked {len(result.wheels)} of {len(result.wheels) + len(result.left_out)} packages")
    click.echo(f"sealed: {result.seal_id}")

"""`archiver finalize`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("finalize")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
@click.option(
    "--force",
    is_flag=True,
    help="Also when the process cannot be looked at, or when files changed after an earlier seal.",
)
@click.option(
    "--allow-secrets", is_flag=True, help="Seal although something in it looks like a secret; its journal says so."
)
def command(path: Path, force: bool, allow_secrets: bool) -> None:
    """Seal what an unfinished run left behind: a training that was killed, or whose sealing was interrupted.

    History and results are made from the journal; nothing is lost that had been written. A sealed archive stays as it
    is. A run whose training still goes on is refused.

    \b
    Example:
      archiver finalize runs/digits_cnn_base_models
    """
    from archiver.archive.run import Run
    from archiver.closing import close_unfinished
    from archiver.progress import DelayedBar

    run = Run.open(path)
    was_sealed = run.seal_id is not None
    with DelayedBar("sealing"):
        seal_id = close_unfinished(run, force=force, allow_secrets=allow_secrets)
    click.echo(f"{path}: {run.status.describe()}{'; it was sealed already' if was_sealed else ''}")
    click.echo(f"seal id: {seal_id}")

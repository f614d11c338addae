"""`archiver resume`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("resume")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--yes", is_flag=True, help="Run it without asking.")
def command(path: Path, yes: bool) -> None:
    """Run the command again that was cut off, in its folder; its RunArchiver goes on where the last snapshot was.

    The command comes from the archive, and it is a program: it is shown first, and run when you agree. Inside, every
    RunArchiver of this name behaves as with resume=True.

    \b
    Example:
      archiver resume runs/digits_cnn_base_models
    """
    from archiver.archive.phases import CUT_OFF
    from archiver.archive.run import Run
    from archiver.archive.status import still_running
    from archiver.cli.rerunning import command_of, run_again

    run = Run.open(path)
    status = run.status
    if status.status == "running":
        raise still_running(path, status)
    again = command_of(run)
    if status.status == "complete" and status.stop_reason not in CUT_OFF:
        click.echo(f"{path} is complete: its calls of fit will train nothing, and return their history.")
    click.echo(f"in {again.folder}:\n  {again.text}")
    if not yes:
        click.confirm("Run this program?", abort=True)
    raise SystemExit(run_again(run, again))

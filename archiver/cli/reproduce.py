"""`archiver reproduce`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from archiver.reproduction.reproduction import Reproduction


@click.command("reproduce")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
@click.option(
    "--environment",
    type=click.Choice(["current", "rebuild"]),
    default="current",
    show_default=True,
    help="Python and packages: those at hand, or the recorded ones, installed anew.",
)
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", help="A new folder for the new archive.")
@click.option("--trust", is_flag=True, help="Run the program of an archive that you did not make, without asking.")
@click.option("--data", "moved", multiple=True, metavar="NAME=PATH", help="Where data has gone; may be repeated.")
@click.option(
    "--repository", type=click.Path(path_type=Path, exists=True), metavar="DIR", help="A repository with the commit."
)
@click.option("--fetch", is_flag=True, help="Ask the recorded remote for the commit.")
@click.option("--keep", is_flag=True, help="Keep the rebuilt source tree.")
def command(
    *,
    path: Path,
    environment: str,
    output: Path | None,
    trust: bool,
    moved: tuple[str, ...],
    repository: Path | None,
    fetch: bool,
    keep: bool,
) -> None:
    """Run a run again from its archive, and say whether it comes out the same.

    The source tree is rebuilt in a fresh folder, what decides bits is set as it was, and the recorded command runs with
    its archives sent to a folder of their own. Everything is shown first; the program of an archive that no training of
    yours made runs only when you agree.

    Ends with 0 when the runs are identical or equivalent, with 1 when they diverged, with 17 when the run cannot be
    run again.

    \b
    Example:
      archiver reproduce runs/digits_cnn_base_models
      archiver reproduce runs/digits_cnn_base_models --environment rebuild --output again
    """
    from archiver.archive.findings import printable
    from archiver.reproduction.reproduction import Options, reproduce

    options = Options(
        store=(output or _free_folder(path)).absolute(),
        environment="rebuild" if environment == "rebuild" else "current",
        trust=trust,
        data=dict(map(_named_path, moved)),
        repository=None if repository is None else repository.absolute(),
        fetch=fetch,
        keep=keep,
    )

    def say(line: str) -> None:
        click.echo(printable(line))
        sys.stdout.flush()  # the program writes to the same place

    _show(reproduce(path, options, say, _question()), say)


def _show(done: Reproduction, say: Callable[[str], None]) -> None:
    verdict = done.record.verdict
    say("")
    say(f"{verdict.judgement.upper()}: {verdict.summary}")
    say(f"compared: {', '.join(verdict.compared)}")
    for gap in verdict.not_compared:
        say(f"not compared: {gap}")
    if verdict.first_divergence:
        say(f"first difference: {verdict.first_divergence}")
    if verdict.largest_difference:
        each = verdict.largest_difference
        allowed = f"{each.excess:.3g} of what is tolerated"
        say(f"largest difference: {each.where}: {each.difference:.6g} ({allowed})")
    if verdict.judgement != "identical" and verdict.causes:
        say("what may have made it, the likeliest first:")
        for number, cause in enumerate(verdict.causes[:10], start=1):
            say(f"  {number}. {cause.kind}: {cause.text}{f' ({cause.why})' if cause.why else ''}")
    say(f"archive: {done.repetition.path}")
    raise SystemExit(0 if done.is_positive else 1)


def _question() -> Callable[[str], bool] | None:
    """Where somebody sits at a terminal, a way to ask."""
    return click.confirm if sys.stdin.isatty() else None


def _named_path(text: str) -> tuple[str, Path]:
    from archiver.errors import ArgumentError

    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise ArgumentError(f"Received --data {text!r}. Expected NAME=PATH.")
    return name, Path(path).expanduser()


def _free_folder(path: Path) -> Path:
    """`reproductions/<run>` here, or beside the folder of runs where here is in the archive; numbered where taken."""
    archive, here = path.resolve(), Path.cwd()
    base = archive.parent.parent if here == archive or here.is_relative_to(archive) else here
    number = 1
    while True:
        folder = base / "reproductions" / (archive.name if number == 1 else f"{archive.name}-{number}")
        if not folder.exists():
            return folder
        number += 1

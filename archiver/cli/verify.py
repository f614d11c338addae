"""`archiver verify`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from archiver.archive.findings import VerifyReport
    from archiver.archive.verifying import HashChoice


@click.command("verify")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "--hash",
    "algorithm",
    type=click.Choice(["blake3", "sha256", "md5", "all"]),
    default="blake3",
    show_default=True,
    help="Which digests to check the bytes against.",
)
@click.option("--deep", is_flag=True, help="Also compare every tensor in every model file with its recorded digest.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(paths: tuple[Path, ...], algorithm: HashChoice, deep: bool, form: str) -> int:
    """Check that archives are whole: every byte, every record, nothing missing, nothing added.

    RUN is the folder of a run, or a folder of such folders. Needs neither Keras nor TensorFlow, and runs nothing that
    stands in the archive. Ends with 0 when all are whole, with 1 when there are findings.

    \b
    Example:
      archiver verify runs/digits_cnn_base_models
      archiver verify --deep --format json runs
    """
    from archiver.archive.run import find_archives
    from archiver.archive.verifying import verify
    from archiver.errors import ArchiverError

    archives = [found for path in paths for found in find_archives(path) or [path]]
    reports: list[VerifyReport] = []
    errors: list[ArchiverError] = []
    with _progress(len(archives), form) as advance:
        for path in archives:
            try:
                reports.append(verify(path, algorithm=algorithm, deep=deep))
            except ArchiverError as error:
                errors.append(error)
            advance()
    click.echo(
        _as_json(reports) if form == "json" else "\n".join(map(_as_text, reports)), nl=bool(reports or form == "json")
    )
    if form == "text" and len(archives) > 1:
        whole = sum(report.is_whole for report in reports)
        click.echo(f"\n{whole} of {len(archives)} archives are whole")
    for failure in errors:
        click.echo(f"archiver: {failure}", err=True)
    if errors:
        return errors[0].exit_code
    return 0 if all(report.is_whole for report in reports) else 1


class _progress:  # noqa: N801 - used as a function
    """A progress bar on a terminal, where there is more than one archive."""

    def __init__(self, total: int, form: str) -> None:
        import sys

        self._shown = total > 1 and form == "text" and sys.stderr.isatty()
        self._total = total

    def __enter__(self) -> Callable[[], None]:
        if not self._shown:
            return lambda: None
        from rich.console import Console
        from rich.progress import Progress

        self._bar = Progress(console=Console(stderr=True), transient=True)
        self._bar.start()
        task = self._bar.add_task("verifying", total=self._total)
        return lambda: self._bar.advance(task)

    def __exit__(self, *exception: object) -> None:
        if self._shown:
            self._bar.stop()


def _as_json(reports: list[VerifyReport]) -> str:
    import json

    # In ASCII, since the name of a file may be no text at all, and the terminal may have another encoding.
    return json.dumps([report.as_json() for report in reports], indent=2)


def _as_text(report: VerifyReport) -> str:
    from archiver.archive.findings import printable

    head = f"{report.path}: {'whole' if report.is_whole else f'{len(report.findings)} finding(s)'}"
    lines = [head, f"  status: {report.status}", f"  {report.checked()}"]
    if report.seal_id:
        lines.append(f"  seal id: {report.seal_id}")
    lines += [f"  FINDING {finding.describe()}" for finding in report.findings]
    lines += [f"  note: {finding.describe()}" for finding in report.information]
    return "\n".join(map(printable, lines))

"""`archiver verify`."""

from __future__ import annotations

import sys
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
    from archiver.archive.findings import printable
    from archiver.archive.run import find_archives
    from archiver.archive.verifying import verify
    from archiver.errors import ArchiverError
    from archiver.progress import DelayedBar

    archives = [found for path in paths for found in find_archives(path) or [path]]
    reports: list[VerifyReport] = []
    errors: list[ArchiverError] = []
    sizes = [_size_of(path) for path in archives] if sys.stderr.isatty() else [0]
    with DelayedBar("verifying", sum(sizes)) as bar:
        for path in archives:
            try:
                reports.append(verify(path, algorithm=algorithm, deep=deep, on_bytes=bar.advance))
            except ArchiverError as error:
                errors.append(error)
    click.echo(
        _as_json(reports) if form == "json" else "\n".join(map(_as_text, reports)), nl=bool(reports or form == "json")
    )
    if form == "text" and len(archives) > 1:
        whole = sum(report.is_whole for report in reports)
        click.echo(f"\n{whole} of {len(archives)} archives are whole")
    for failure in errors:
        click.echo(printable(f"archiver: {failure}"), err=True)
    if errors:
        return errors[0].exit_code
    return 0 if all(report.is_whole for report in reports) else 1


def _size_of(folder: Path) -> int:
    """Bytes of the files in an archive, for the bar; links are not followed."""
    from archiver.errors import ArchiverError
    from archiver.storage.hashing import regular_files

    try:
        return sum(regular_files(folder).values())
    except (OSError, ArchiverError):
        return 0


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

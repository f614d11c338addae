"""`archiver verify`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archiver.cli.places import PLACE, Place, archives_at

if TYPE_CHECKING:
    from archiver.archive.findings import Finding, VerifyReport
    from archiver.archive.verifying import HashChoice
    from archiver.storage.hashing_ahead import HashingAhead

MAXIMAL_ALIKE = 3
"""Notes that differ in their path only, each on a line of its own; of more, one line tells."""


@click.command("verify")
@click.argument("paths", nargs=-1, required=True, type=PLACE, metavar="RUN...")
@click.option(
    "--hash",
    "algorithm",
    type=click.Choice(["blake3", "sha256", "md5", "all"]),
    default="blake3",
    show_default=True,
    help="Which digests to check the bytes against.",
)
@click.option("--deep", is_flag=True, help="Also compare every tensor in every model file with its recorded digest.")
@click.option("--expect", metavar="ID", help="The seal id that was written down elsewhere; for one RUN.")
@click.option("--signature", is_flag=True, help="Also check the signature (model.sig); needs --public-key.")
@click.option("--public-key", type=click.Path(path_type=Path), help="File with the signer's public key, in PEM.")
@click.option("--secrets", is_flag=True, help="Also search everything that holds text for tokens and passwords.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(
    *,
    paths: tuple[Place, ...],
    algorithm: HashChoice,
    deep: bool,
    expect: str | None,
    signature: bool,
    public_key: Path | None,
    secrets: bool,
    form: str,
) -> int:
    """Check that archives are whole: every byte, every record, nothing missing, nothing added.

    RUN is the folder of a run, or a folder of such folders; or a bag or a zip file with a run in it, which is unpacked
    to a temporary folder; or the URL of any of these (s3://...), of which only documents are copied here, and large
    files are read through. Needs neither Keras nor TensorFlow, and runs nothing that stands in the archive. Ends with 0
    when all are whole, with 1 when there are findings.

    \b
    Example:
      archiver verify runs/digits_cnn_base_models
      archiver verify digits_cnn_base_models.zip
      archiver verify --deep --format json runs
      archiver verify s3://bucket/runs/digits_cnn_base_models
      archiver verify --signature --public-key public.pem runs/digits_cnn_base_models
    """
    from archiver.storage.digests import ALGORITHMS
    from archiver.storage.hashing_ahead import HashingAhead

    # Begun before the modules below are imported, which takes longer than to hash a gigabyte.
    run = _only_run(paths)
    ahead = HashingAhead(run, ALGORITHMS if algorithm == "all" else (algorithm,)) if run is not None else None

    from archiver.archive.findings import printable
    from archiver.errors import ArchiverError
    from archiver.progress import DelayedBar

    if signature != (public_key is not None):
        raise click.UsageError("--signature and --public-key go together: a signature says nothing without the key")
    archives = [found for path in paths for found in archives_at(path)]
    if expect is not None and len(archives) != 1:
        raise click.UsageError(f"--expect is the seal id of one archive; received {len(archives)}")
    reports: list[VerifyReport] = []
    errors: list[ArchiverError] = []
    sizes = [_size_of(path) for path in archives] if sys.stderr.isatty() else [0]
    options: dict[str, Any] = {"algorithm": algorithm, "deep": deep, "secrets": secrets}
    options |= {"expect": expect, "public_key": public_key}
    with DelayedBar("verifying", sum(sizes) or None) as bar:
        for path in archives:
            try:
                reports.append(_verify(path, ahead, on_bytes=bar.advance, **options))
            except ArchiverError as error:
                errors.append(error)
    click.echo(
        _as_json(reports) if form == "json" else "\n".join(map(report_text, reports)),
        nl=bool(reports or form == "json"),
    )
    if form == "text" and len(archives) > 1:
        whole = sum(report.is_whole for report in reports)
        click.echo(f"\n{whole} of {len(archives)} archives are whole")
    for failure in errors:
        click.echo("\n".join(printable(line) for line in f"archiver: {failure}".splitlines()), err=True)
    if errors:
        return errors[0].exit_code
    return 0 if all(report.is_whole for report in reports) else 1


def _only_run(paths: tuple[Place, ...]) -> Path | None:
    """The folder that is asked for, where it is one archive and nothing else is."""
    first = paths[0]
    is_run = len(paths) == 1 and isinstance(first, Path) and (first / "manifest-blake3.txt").is_file()
    return first if is_run and isinstance(first, Path) else None


def _verify(place: Place, hashing_ahead: HashingAhead | None, **options: Any) -> VerifyReport:
    if isinstance(place, str):
        from archiver.remote.checking import verify as verify_anywhere

        return verify_anywhere(place, **options)
    from archiver.archive.verifying import verify

    return verify(place, hashing_ahead=hashing_ahead, **options)


def _size_of(path: Place) -> int:
    """Bytes of the files in an archive, or of a zip file, for the bar; links are not followed."""
    from archiver.errors import ArchiverError
    from archiver.storage.hashing import regular_files

    if isinstance(path, str):
        return 0  # to ask the store for it would take longer than is worth a bar
    try:
        return path.stat().st_size if path.is_file() else sum(regular_files(path).values())
    except (OSError, ArchiverError):
        return 0


def _as_json(reports: list[VerifyReport]) -> str:
    import json

    # In ASCII, since the name of a file may be no text at all, and the terminal may have another encoding.
    return json.dumps([report.as_json() for report in reports], indent=2)


def report_text(report: VerifyReport) -> str:
    """A report as the terminal shows it."""
    from archiver.archive.findings import printable

    head = f"{report.path}: {'whole' if report.is_whole else f'{len(report.findings)} finding(s)'}"
    lines = [head, f"  status: {report.status}", f"  {report.checked()}"]
    if report.seal_id:
        is_expected = ", as expected" if report.seal_id == report.expected_seal_id else ""
        lines.append(f"  seal id: {report.seal_id}{is_expected}")
    if report.signed_by:
        lines.append(f"  signed with the key {report.signed_by}")
    lines += [f"  in short: {line}" for line in report.causes()]
    lines += [f"  FINDING {finding.describe()}" for finding in report.findings]
    lines += [f"  note: {text}" for text in _notes(report.information)]
    return "\n".join(map(printable, lines))


def _notes(information: tuple[Finding, ...]) -> Iterator[str]:
    """One line for each, but for files of which there is the same to say: a bag shares all of them with its run."""
    alike: dict[tuple[str, str], list[Finding]] = {}
    for finding in information:
        alike.setdefault((finding.code, finding.message), []).append(finding)
    for (code, message), group in alike.items():
        if len(group) > MAXIMAL_ALIKE:
            yield f"[{code}] {group[0].path} and {len(group) - 1} more files: {message}"
        else:
            yield from (finding.describe() for finding in group)

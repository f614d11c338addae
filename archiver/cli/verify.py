"""`archiver verify`."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archiver.cli.job_options import job_options
from archiver.cli.places import PLACE, Place, archives_at
from archiver.cli.verify_store import verify_recursively
from archiver.cli.verify_text import as_json, as_text

if TYPE_CHECKING:
    from archiver.archive.findings import VerifyReport
    from archiver.archive.verifying import HashChoice
    from archiver.storage.hashing_ahead import HashingAhead

OBJECTS_BETWEEN_COLLECTIONS = 100_000


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
@click.option("--recursive", is_flag=True, help="Every archive below each folder, several at once.")
@job_options
@click.option("--results", type=click.Path(path_type=Path), help="With --recursive: file of results, to go on with.")
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
    recursive: bool,
    jobs: int | None,
    cluster: str | None,
    results: Path | None,
    form: str,
) -> int:
    """Check that archives are whole: every byte, every record, nothing missing, nothing added.

    RUN is the folder of a run, or a folder of such folders; or a bag or a zip file with a run in it, which is unpacked
    to a temporary folder; or the URL of any of these (s3://...), of which only documents are copied here, and large
    files are read through. Needs neither Keras nor TensorFlow, and runs nothing that stands in the archive. Ends with 0
    when all are whole, with 1 when there are findings.

    With --recursive, several archives are verified at once, by processes or by the workers of a Dask cluster. With
    --results, each is noted in a file as soon as it is done, and the same command goes on where it was interrupted.

    \b
    Example:
      archiver verify runs/digits_cnn_base_models
      archiver verify digits_cnn_base_models.zip
      archiver verify --deep --format json runs
      archiver verify s3://bucket/runs/digits_cnn_base_models
      archiver verify --signature --public-key public.pem runs/digits_cnn_base_models
      archiver verify --recursive --results verified.jsonl runs
    """
    is_of_one = expect is not None or signature or public_key is not None
    if not recursive and (jobs, cluster, results) != (None, None, None):
        raise click.UsageError("--jobs, --cluster and --results go with --recursive")
    if recursive and is_of_one:
        raise click.UsageError("--expect and --signature are for one archive, --recursive is for all of a store")
    if signature != (public_key is not None):
        raise click.UsageError("--signature and --public-key go together: a signature says nothing without the key")
    options: dict[str, Any] = {"algorithm": algorithm, "deep": deep, "secrets": secrets}
    if recursive:
        return verify_recursively(paths, form, options, jobs=jobs, cluster=cluster, results=results)
    with _starting_quickly():
        return _verify_each(paths, form, algorithm, options | {"expect": expect, "public_key": public_key})


@contextlib.contextmanager
def _starting_quickly() -> Iterator[None]:
    """Leave out what takes a twentieth of a small verify and is of no use to it.

    That is pydantic's search for plugins, which reads something of every installed package, and most looks for cycles
    among objects of which nearly all are classes.
    """
    name, thresholds = "PYDANTIC_DISABLE_PLUGINS", gc.get_threshold()
    before = os.environ.get(name)
    os.environ[name] = "__all__"
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _verify_each(paths: tuple[Place, ...], form: str, algorithm: HashChoice, options: dict[str, Any]) -> int:
    """One after the other."""
    from archiver.storage.digests import ALGORITHMS
    from archiver.storage.hashing_ahead import HashingAhead

    # Begun before the modules below are imported, which takes longer than to hash a gigabyte.
    run = _only_run(paths)
    ahead = HashingAhead(run, ALGORITHMS if algorithm == "all" else (algorithm,)) if run is not None else None

    from archiver.archive.findings import printable
    from archiver.errors import ArchiverError
    from archiver.progress import DelayedBar

    archives = [found for path in paths for found in archives_at(path)]
    if options["expect"] is not None and len(archives) != 1:
        raise click.UsageError(f"--expect is the seal id of one archive; received {len(archives)}")
    reports: list[VerifyReport] = []
    errors: list[ArchiverError] = []
    sizes = [_size_of(path) for path in archives] if sys.stderr.isatty() else [0]
    with DelayedBar("verifying", sum(sizes) or None) as bar:
        for path in archives:
            try:
                reports.append(_verify(path, ahead, on_bytes=bar.advance, **options))
            except ArchiverError as error:
                errors.append(error)
    if ahead is not None:
        ahead.close()
    click.echo(
        as_json(reports) if form == "json" else "\n".join(map(as_text, reports)), nl=bool(reports or form == "json")
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

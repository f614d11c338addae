"""`archiver verify --recursive`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archiver.cli.places import Place, archives_at
from archiver.cli.verify_text import as_json, as_text

if TYPE_CHECKING:
    from archiver.archive.findings import VerifyReport
    from archiver.jobs import Outcome


def verify_recursively(
    paths: tuple[Place, ...],
    form: str,
    options: dict[str, Any],
    *,
    jobs: int | None,
    cluster: str | None,
    results: Path | None,
) -> int:
    """Verify every archive below each folder; the exit code."""
    from archiver.archive.store_verifying import verify_store
    from archiver.jobs import can_run_in_processes
    from archiver.progress import DelayedBar
    from archiver.remote.checking import verify

    archives = [found for path in paths for found in archives_at(path)]
    if jobs is None and cluster is None and not can_run_in_processes():
        click.echo("one at a time: pip install 'keras-archiver[cluster]' verifies several at once", err=True)
    done: list[Outcome[str, VerifyReport]] = []
    with DelayedBar("verifying", len(archives)) as bar:
        for each in verify_store(archives, verify, jobs=jobs, cluster=cluster, results=results, **options):
            done.append(each)
            _tell(each, form)
            bar.advance()
    if form == "json":
        click.echo(as_json([each.result for each in done if each.result is not None]))
    else:
        _sum_up(done, results)
    failed = next((each.failure for each in done if each.failure is not None), None)
    if failed is not None:
        return failed.exit_code
    return 0 if all(each.result is not None and each.result.is_whole for each in done) else 1


def _tell(verified: Outcome[str, VerifyReport], form: str) -> None:
    from archiver.archive.findings import printable

    report, failure = verified.result, verified.failure
    if failure is not None:
        click.echo(printable(f"archiver: {verified.item}: {failure.message}"), err=True)
    elif form == "text" and report is not None and report.findings:
        click.echo(as_text(report))
    elif form == "text" and not verified.is_from_before:
        click.echo(printable(f"{verified.item}: whole"))


def _sum_up(done: list[Outcome[str, VerifyReport]], results: Path | None) -> None:
    from archiver.archive.findings import printable

    before = sum(each.is_from_before for each in done)
    noted = f" ({before} of them verified before, says {results})" if before else ""
    click.echo()
    whole = sum(each.result is not None and each.result.is_whole for each in done)
    click.echo(printable(f"{whole} of {len(done)} archives are whole{noted}"))

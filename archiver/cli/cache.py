"""`archiver cache build` and `archiver cache verify`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archiver.cli.job_options import job_options

if TYPE_CHECKING:
    from archiver.cli.launched import TimedLog
    from archiver.data.cache.building import BuildResult
    from archiver.data.cache.plan import CachePlan
    from archiver.data.cache.recording import RecordingSource


@click.group("cache")
def command() -> None:
    """Window caches: cut recordings into windows, and check what was written.

    \b
    Example:
      archiver cache build plan.toml
      archiver cache verify caches
      archiver cache statistics caches
    """


@command.command("build")
@click.argument("plan", type=click.Path(path_type=Path), metavar="CONFIG_OR_SCRIPT")
@click.option("--mini", is_flag=True, help="Two recordings of each cache, into caches of their own.")
@click.option("--groups", default="", metavar="R1,R2", help="Only recordings of these groups.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes that cut and pack.")
@click.option(
    "--memory-limit", type=click.IntRange(1), metavar="BYTES", help="Of each process; else 85 % of what there is."
)
@click.option("--log", "logs", type=click.Path(path_type=Path, file_okay=False), help="Folder of the log.")
def build(  # noqa: PLR0917 - click names them
    plan: Path, mini: bool, groups: str, workers: int, memory_limit: int | None, logs: Path | None
) -> int:
    """Cut the recordings of a plan into window caches; what is whole already is skipped.

    CONFIG_OR_SCRIPT is a .toml file, or a .py script that defines `plan`, which is run. Killed at any moment, the same
    command goes on. The last line is COMPLETE, or says where it stopped. Ends with 0 when all caches are complete, 1
    when recordings could not be taken, 7 when it was stopped, 14 when memory would have run out.

    \b
    Example:
      archiver cache build --mini plan.toml
      archiver cache build --groups R1,R2 --workers 4 plan.toml
    """
    from archiver.cli.launched import TimedLog, log_path
    from archiver.data.cache.plan_file import read_plan

    found = read_plan(plan)
    caches = found.caches([name.strip() for name in groups.split(",") if name.strip()], is_mini=mini)
    belonging = {path: [source.name for source in sources] for path, sources in found.caches(is_mini=mini).items()}
    log = TimedLog(log_path(logs or next(iter(caches)).parent / "logs", "cache-build"))
    try:
        return _build_all(found, caches, belonging, log, workers, memory_limit)
    finally:
        log.close()


def _build_all(  # noqa: PLR0917 - what the command was given
    plan: CachePlan,
    caches: dict[Path, list[RecordingSource]],
    belonging: dict[Path, list[str]],
    log: TimedLog,
    workers: int,
    memory_limit: int | None,
) -> int:
    from archiver.archive.findings import printable
    from archiver.data.cache.building import build_cache
    from archiver.errors import ArchiverError
    from archiver.progress import DelayedBar

    def say(line: str) -> None:
        for part in line.splitlines():
            log.write(printable(part).encode(errors="replace"))
        if "NOT TAKEN" in line or line.startswith("STOPPED"):
            click.echo(printable(line.splitlines()[0]), err=True)

    results: list[BuildResult] = []
    began = time.monotonic()
    with DelayedBar("building", sum(map(len, caches.values()))) as bar:
        for path, sources in caches.items():
            try:
                result = build_cache(
                    path,
                    sources,
                    plan.windowing,
                    plan.storage,
                    workers=workers,
                    memory_limit_bytes=memory_limit,
                    description=plan.description,
                    others=belonging[path],
                    on_line=say,
                    on_item=lambda _name: bar.advance(),
                )
            except ArchiverError as error:
                log.write(f"STOPPED: {printable(str(error))}".encode(errors="replace"))  # the command's end shows it
                _tell(results, log)
                raise
            results.append(result)
            if result.stopped is not None:
                break
    _tell(results, log)
    log.write(f"after {time.monotonic() - began:.1f} s".encode())
    return _exit_code(results)


def _tell(results: list[BuildResult], log: TimedLog) -> None:
    """The final lines."""
    from archiver.archive.findings import printable

    lines = [result.final_line() for result in results]
    if any(result.failed or result.stopped for result in results):
        click.echo(f"log: {printable(str(log.path))}", err=True)
    for line in lines:
        click.echo(printable(line))
        log.write(line.encode(errors="replace"))


def _exit_code(results: list[BuildResult]) -> int:
    from archiver.errors import MemoryLimitError, RunStateError

    last = results[-1]
    if last.stopped is not None:
        return MemoryLimitError.exit_code if last.is_memory else RunStateError.exit_code
    return 1 if any(result.failed for result in results) else 0


@command.command("verify")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="CACHE...")
def verify(paths: tuple[Path, ...]) -> int:
    """Check that window caches are complete, and byte for byte what was written.

    CACHE is an HDF5 file with a manifest beside it, or a folder of such files. A cache that is not complete is checked
    item by item. Reads with neither libhdf5 nor its filters. Ends with 0 when all are whole, with 1 when not.

    \b
    Example:
      archiver cache verify caches/R1.h5
    """
    from archiver.archive.findings import printable
    from archiver.data.cache.verifying import verify_cache
    from archiver.errors import ArchiverError
    from archiver.progress import DelayedBar

    caches = [found for path in paths for found in _caches_at(path)]
    errors: list[ArchiverError] = []
    all_whole = True
    with DelayedBar("verifying", sum(path.stat().st_size for path in caches if path.is_file())) as bar:
        for path in caches:
            try:
                report = verify_cache(path, bar.advance)
            except ArchiverError as error:
                errors.append(error)
                continue
            state = (
                "whole"
                if report.is_whole
                else "DAMAGED"
                if report.findings
                else "NOT COMPLETE (build it again to go on)"
            )
            there = f"{report.item_count} items, {report.window_count:,} windows"
            click.echo("\n".join(map(printable, [f"{path}: {state}, {there}", *_shown(report.findings)])))
            all_whole = all_whole and report.is_whole
    for failure in errors:
        click.echo(f"archiver: {printable(str(failure))}", err=True)
    return errors[0].exit_code if errors else 0 if all_whole else 1


@command.command("statistics")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="CACHE...")
@job_options
@click.option("--results", type=click.Path(path_type=Path), help="File of results, to go on with.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def statistics(
    paths: tuple[Path, ...], *, jobs: int | None, cluster: str | None, results: Path | None, form: str
) -> int:
    """Range, moments, quantiles and classes of window caches, several caches at once.

    CACHE is an HDF5 file with a manifest beside it, or a folder of such files. A cache that cannot be read is told, and
    the others are read. With --results, each is noted in a file as soon as it is done, and the same command goes on
    where it was interrupted. Ends with 0 when all were read.

    \b
    Example:
      archiver cache statistics --format json caches
    """
    import json

    from archiver.archive.findings import printable
    from archiver.data.statistics.caches import cache_statistics
    from archiver.progress import DelayedBar

    caches = [found for path in paths for found in _caches_at(path)]
    found: dict[str, Any] = {}
    exit_code = 0
    with DelayedBar("reading", len(caches)) as bar:
        for outcome in cache_statistics(caches, jobs=jobs, cluster=cluster, results=results):
            bar.advance()
            if outcome.failure is not None:
                exit_code = exit_code or outcome.failure.exit_code
                click.echo(f"archiver: {printable(f'{outcome.item}: {outcome.failure.message}')}", err=True)
            else:
                found[outcome.item] = outcome.result
    ordered = {str(path): found[str(path)] for path in caches if str(path) in found}
    if form == "json":
        click.echo(json.dumps(ordered, indent=2))
    else:
        for path, each in ordered.items():
            click.echo("\n".join(map(printable, [f"{path}: {each['window_count']:,} windows", *_numbers(each)])))
    return exit_code


def _numbers(statistics: dict[str, Any]) -> Iterator[str]:
    """A line for each array, and one for the classes of each target."""
    for name, array in statistics["arrays"].items():
        missing = f", {array['missing']:,} missing" if array["missing"] else ""
        yield (
            f"  {name}: {array['dtype']}, {array['minimum']:.6g} to {array['maximum']:.6g}, "
            f"mean {array['mean']:.6g}, standard deviation {array['standard_deviation']:.6g}{missing}"
        )
    for name, counts in statistics["classes"].items():
        yield f"  {name}: {counts}"


def _shown(findings: tuple[str, ...]) -> list[str]:
    return [f"  FINDING {finding}" for finding in findings]


def _caches_at(path: Path) -> list[Path]:
    from archiver.data.cache.records import SUFFIX

    if not path.is_dir():
        return [path]
    return [each.with_name(each.name.removesuffix(SUFFIX)) for each in sorted(path.rglob(f"*{SUFFIX}"))] or [path]

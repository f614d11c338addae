"""`archiver watch`."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from archiver.archive.following import FollowedRun
    from archiver.archive.run import Run

REFRESH_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 0.5
NOT_COMPLETE_EXIT_CODE = 1
INTERRUPTED_EXIT_CODE = 130
CLOCK_TOLERANCE_SECONDS = 1.0


@click.command("watch")
@click.argument("path", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--once", is_flag=True, help="Print one picture and end.")
@click.option("--wait", is_flag=True, help="Wait for the run: RUN need not be there yet, or is a folder of runs.")
@click.option(
    "--process",
    type=click.IntRange(min=1),
    metavar="ID",
    help="With --wait: watch one run after the other, until this process has ended.",
)
def command(path: Path, once: bool, wait: bool, process: int | None) -> int:
    """Watch a run that another process trains: epochs, metrics, memory, heat, and the time that is left.

    RUN is the folder of a run, or a folder of runs, of which the last begun is watched; with --wait the first one that
    begins from now on. Only reads the run's files, and changes none. Ends when the run does: with 0 when it is
    complete, with 1 when it failed or was interrupted, with 130 after Ctrl-C. Where the output is no terminal, a line
    is printed whenever epochs have ended.

    \b
    Example:
      archiver watch runs/digits_cnn_base_models
      archiver watch --wait runs
      archiver watch --once runs/digits_cnn_base_models
    """
    if process is not None and not wait:
        raise click.UsageError("--process needs --wait.")
    if once and wait:
        raise click.UsageError("--once shows what is there; it cannot --wait.")
    from rich.console import Console

    from archiver.archive.following import FollowedRun

    console = Console(highlight=False, soft_wrap=True)
    try:
        if once:
            return _once(console, path)
        if process is not None:
            return _until_gone(console, path, process)
        found = _waited_for(console, path, time.time(), lambda: False) if wait else _found(path)
        return _watch(console, FollowedRun(found), lambda run: run.has_ended) if found is not None else 0
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT_CODE


# -- which run


def _found(path: Path) -> Run:
    """The run at `path`, or the last begun in it."""
    from archiver.archive.following import newest_run
    from archiver.archive.run import Run, is_archive

    newest = newest_run(path) if path.is_dir() and not is_archive(path) else None
    return newest or Run.open(path)


def _waited_for(console: Console, path: Path, since: float, is_over: Callable[[], bool]) -> Run | None:
    """The run at `path` as soon as it is there, or the last one in it that began after `since`; None: it is over."""
    from archiver.archive.findings import printable
    from archiver.archive.following import newest_run
    from archiver.archive.run import Run, is_archive

    is_told = False
    while True:
        over = is_over()  # asked first: a run may begin and end between two looks
        if is_archive(path):
            return Run.open(path)
        newest = newest_run(path, since)
        if newest is not None or over:
            return newest
        if not is_told:
            console.print(f"waiting for a run in {printable(str(path))} ...", style="dim", markup=False)
            is_told = True
        time.sleep(LOOK_AGAIN_SECONDS)


def _until_gone(console: Console, path: Path, process: int) -> int:
    """Watch the runs that begin, until the process has ended; the code tells of the last one."""
    from archiver.archive.following import FollowedRun, newest_run
    from archiver.archive.run import is_archive

    started = _start_of(process)
    since = (started or time.time()) - CLOCK_TOLERANCE_SECONDS
    code = 0

    def is_gone() -> bool:
        return started is None or _start_of(process) != started

    def is_left(run: FollowedRun) -> bool:
        """A run that has ended may go on in another phase, until the process ends or begins a run."""
        return run.has_ended and (is_gone() or newest_run(path, _after(run)) is not None)

    while True:
        found = _waited_for(console, path, since, is_gone)
        if found is None:
            return code
        run = FollowedRun(found)
        code = _watch(console, run, is_left)
        since = _after(run)
        if is_archive(path):
            return code


def _after(run: FollowedRun) -> float:
    """A moment before which no later run began."""
    return run.began.timestamp() + 1e-6 if run.began is not None else time.time()


def _start_of(process: int) -> float | None:
    """When a process began, in seconds since 1970; None: it is not there."""
    import psutil

    try:
        found = psutil.Process(process)
        return None if found.status() == psutil.STATUS_ZOMBIE else float(found.create_time())
    except psutil.Error:
        return None


# -- the view


def _once(console: Console, path: Path) -> int:
    from archiver.archive.following import FollowedRun
    from archiver.cli.watch_picture import picture
    from archiver.records.base import utc_now

    run = FollowedRun(_found(path))
    while run.read():
        pass
    console.print(picture(run, utc_now(), console.width))
    return 0


def _watch(console: Console, run: FollowedRun, is_left: Callable[[FollowedRun], bool]) -> int:
    from archiver.cli.watch_picture import picture
    from archiver.records.base import utc_now

    (_show if console.is_terminal else _tell)(console, run, is_left)
    console.print(picture(run, utc_now(), console.width))
    return 0 if run.status.status == "complete" else NOT_COMPLETE_EXIT_CODE


def _show(console: Console, run: FollowedRun, is_left: Callable[[FollowedRun], bool]) -> None:
    """Draw once a second until the run has ended."""
    from rich.live import Live

    from archiver.cli.watch_picture import picture
    from archiver.records.base import utc_now

    with Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        while True:
            more = run.read()
            live.update(picture(run, utc_now(), console.width, console.height), refresh=True)
            if not more:
                if is_left(run) or _is_removed(run):
                    return
                time.sleep(REFRESH_SECONDS)


def _tell(console: Console, run: FollowedRun, is_left: Callable[[FollowedRun], bool]) -> None:
    """Print a line for each epoch and each note until the run has ended."""
    from archiver.cli.watch_picture import epoch_line
    from archiver.records.base import utc_now

    epochs, notes = 0, 0
    while True:
        more = run.read()
        told = sum(run.counts.get(name, 0) for name in _TOLD)
        if not more:
            for note in list(run.notes)[len(run.notes) - min(told - notes, len(run.notes)) :]:
                console.print(note.text, markup=False)
            if run.epochs_done != epochs:
                console.print(epoch_line(run, utc_now()), markup=False)
            epochs, notes = run.epochs_done, told
            with contextlib.suppress(AttributeError):
                console.file.flush()
            if is_left(run) or _is_removed(run):
                return
            time.sleep(REFRESH_SECONDS)


_TOLD = ("cooling_break", "memory_alert", "warning", "step_failed", "status")


def _is_removed(run: FollowedRun) -> bool:
    """Whether somebody removed the archive."""
    return not os.path.isdir(run.run.path)

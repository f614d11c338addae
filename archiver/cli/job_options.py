"""The options of commands that do the same for many things."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def job_options(command: Command) -> Command:
    """`--jobs` and `--cluster`, as `archiver.jobs.run_jobs` takes them."""
    command = click.option(
        "--cluster", metavar="ADDRESS", help="Of a Dask scheduler: its workers do it. They must see the same folders."
    )(command)
    return click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes; else one per core.")(command)

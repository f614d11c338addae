"""What is shown before anything of an archive runs, and whether somebody has to agree to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from archiver.archive.findings import printable
from archiver.archive.ownership import is_own
from archiver.archive.run import Run
from archiver.errors import CannotReproduceError
from archiver.records.reproduction import RebuiltEnvironmentPart, RebuiltSourcePart
from archiver.reproduction.command import Command, variable_of
from archiver.reproduction.environment import Plan

_SHOWN = 10


def announcement(
    command: Command,
    source: RebuiltSourcePart,
    environment: Plan | RebuiltEnvironmentPart,
    pinned: dict[str, str | None],
    differences: list[str],
) -> Iterator[str]:
    """The lines that say what will be run."""
    where = f"commit {source.commit} of {source.repository}" if source.commit else "the copies in the archive"
    patch = ", with the uncommitted changes" if source.patch_applied else ""
    copies = f", {source.copied_count} file(s) from the archive" if source.commit and source.copied_count else ""
    yield f"source: {where}{patch}{copies}"
    yield from (f"  note: {note}" for note in source.notes[:_SHOWN])
    yield from _of_environment(environment)
    yield from (f"machine: {text}" for text in differences)
    for moved in command.moved:
        yield f"data: {moved.recorded} is {moved.path} (also in {variable_of(moved.name)})"
    yield from (f"set: {name}={value}" for name, value in pinned.items() if value is not None)
    yield from (f"taken away: {name}" for name, value in pinned.items() if value is None and name in os.environ)
    if command.python_path:
        yield f"modules are looked for in: {':'.join(command.python_path)}"
    yield f"command, in {command.folder}:"
    yield f"  {command.text}"


def _of_environment(environment: Plan | RebuiltEnvironmentPart) -> Iterator[str]:
    if isinstance(environment, Plan):
        count = environment.requirements.count
        yield f"environment: {count} recorded packages for Python {environment.version} in {environment.folder}"
        yield from (f"  from elsewhere than an index: {line}" for line in environment.elsewhere)
        return
    yield f"environment: this one, Python {environment.python_version}"
    yield from package_lines(environment)


def package_lines(environment: RebuiltEnvironmentPart) -> Iterator[str]:
    """What of the packages is not as recorded."""
    for each in environment.differences[:_SHOWN]:
        yield f"  {each.name}: {each.reason}"
    if len(environment.differences) > _SHOWN:
        yield f"  and {len(environment.differences) - _SHOWN} more packages that differ"


def require_consent(run: Run, ask: Callable[[str], bool] | None, *, trust: bool) -> bool:
    """See to it that a stranger's program runs only when somebody agrees.

    Args:
        run: an archive that was found to be whole.
        ask: puts a question; None: nobody is there to answer.
        trust: the user has agreed already.

    Returns:
        whether the archive is this user's own.

    Raises:
        CannotReproduceError: nobody agreed.
    """
    own = is_own(run.seal_id)
    if own or trust:
        return own
    reason = f"{printable(str(run.path))} was not made by a training of yours on this machine"
    if ask is None:
        raise CannotReproduceError(f"{reason}; nothing was run. Look at the command, then pass --trust.")
    if not ask(f"{reason}. Run its program?"):
        raise CannotReproduceError("you did not agree; nothing was run.")
    return False

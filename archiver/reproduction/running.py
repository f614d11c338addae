"""Running a program with its archives sent to a store of their own, and finding the run that repeats another."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archiver import layout
from archiver.archive.claiming import ROOT_VARIABLE
from archiver.archive.phases import gather_phases
from archiver.archive.run import Run, find_archives
from archiver.archive.snapshots import RESUME_VARIABLE
from archiver.errors import ArchiverError, CannotReproduceError
from archiver.naming import folder_name
from archiver.records.run import RunRecord
from archiver.reproduction.command import Command, variable_of
from archiver.reproduction.pinning import with_variables

_OF_OTHERS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONINSPECT", RESUME_VARIABLE)


def variables(
    command: Command, pinned: dict[str, str | None], store: Path, ourselves: Path, work: Path
) -> dict[str, str]:
    """The environment of the program: that of this process, and what a repetition needs."""
    path = os.pathsep.join((str(ourselves), *command.python_path))
    ours: dict[str, str | None] = dict.fromkeys(_OF_OTHERS) | {
        "PYTHONPATH": path,
        ROOT_VARIABLE: str(store),
        # A script that lay in no repository shall find none around its new place.
        "GIT_CEILING_DIRECTORIES": os.path.realpath(work / "source"),
    }
    moved = {variable_of(each.name): str(each.path) for each in command.moved}
    return with_variables(os.environ, {**pinned, **ours, **moved})


def run_program(command: Command, environment: dict[str, str]) -> int:
    """Run exactly these words, without a shell, to their end.

    Returns:
        the exit code; as a shell has it for a signal.

    Raises:
        CannotReproduceError: it cannot be started.
    """
    command.folder.mkdir(parents=True, exist_ok=True)
    try:
        code = subprocess.run(
            command.words, cwd=command.folder, env=environment, stdin=subprocess.DEVNULL, check=False
        ).returncode
    except OSError as error:
        raise CannotReproduceError(f"{command.words[0]} cannot be started: {error.strerror or error}.") from error
    return 128 - code if code < 0 else code


def repetition_of(run: Run, store: Path) -> Run | None:
    """The run in `store` that repeats `run`, where one program made several; None: there is none.

    Told by the name that the program gave, then by what was trained on what, then by the order of the runs.
    """
    record = run.read(layout.RUN)
    made = [each for each, its in _runs_in(store) if its.name.original == record.name.original]
    alike = [each for each in made if _training(each) == _training(run) is not None]
    if len(made) < 2 or len(alike) == 1:  # noqa: PLR2004
        return next(iter(alike or made), None)
    place = _place_among_its_own(run, record)
    return made[place] if place < len(made) else None


def _runs_in(store: Path) -> list[tuple[Run, RunRecord]]:
    found = []
    for path in find_archives(store) if store.is_dir() else ():
        try:
            run = Run.open(path)
            found.append((run, run.read(layout.RUN)))
        except ArchiverError:
            continue
    return sorted(found, key=lambda pair: (pair[1].name.version, pair[1].created))


def _training(run: Run) -> Any:
    """What the first phase trained, on what."""
    try:
        phases = gather_phases(run.journal.read())
    except ArchiverError:
        return None
    return phases[0].began.details.get("training") if phases and phases[0].began is not None else None


def _place_among_its_own(run: Run, record: RunRecord) -> int:
    """How many runs of the same name its process had made before."""
    return sum(1 for each in _earlier(run, record) if each.process == record.process)


def _earlier(run: Run, record: RunRecord) -> Iterator[RunRecord]:
    name = run.name.removesuffix(f"-{record.name.version}") if record.name.version > 1 else run.name
    for version in range(1, record.name.version):
        folder = run.path.absolute().parent / folder_name(name if version == 1 else f"{name}-{version}")
        try:
            yield Run.open(folder).read(layout.RUN)
        except ArchiverError:
            continue

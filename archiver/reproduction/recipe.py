"""What an archive says of how its run was made, read once and checked for what is missing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archiver import layout
from archiver.archive.run import Run
from archiver.collect.redaction import REDACTED
from archiver.errors import ArchiverError, CannotReproduceError
from archiver.records.base import Unavailable
from archiver.records.determinism import DeterminismPart
from archiver.records.environment import PackagesRecord, RepositoryPart, SystemRecord
from archiver.records.run import RunRecord
from archiver.records.source import CommandPart, SourceFilePart, SourceRecord

COPIES = layout.SOURCE_FILES.pattern.removesuffix("*")


@dataclass(frozen=True)
class Recipe:
    """The records that a repetition needs."""

    run: Run
    record: RunRecord
    command: CommandPart
    source: SourceRecord
    root: Path
    """The folder that the source tree mirrors, as it was on the machine of the run."""
    folder: Path
    """The working directory, as it was."""
    repository: RepositoryPart | None
    packages: PackagesRecord | None
    system: SystemRecord | None
    determinism: DeterminismPart | None
    """Of the first phase."""
    dataset_source: Any = None

    @property
    def is_notebook(self) -> bool:
        """Whether the program is the cells of a notebook."""
        notebook = self.source.notebook
        return notebook is not None and isinstance(notebook.cells, str) and self.source.entry == notebook.cells

    @property
    def inner_files(self) -> dict[str, SourceFilePart]:
        """Copies of files below the root, by their paths there."""
        return {part.path.removeprefix(COPIES): part for part in self.source.files if not _is_outside(part)}

    @property
    def outer_files(self) -> dict[str, SourceFilePart]:
        """Copies of modules from elsewhere, by their paths in an entry of PYTHONPATH."""
        return {
            part.path.removeprefix(COPIES).partition("/")[2]: part for part in self.source.files if _is_outside(part)
        }


def _is_outside(part: SourceFilePart) -> bool:
    return part.role == "module" and part.original_path.startswith(("/", "~"))


def read_recipe(run: Run) -> Recipe:
    """Read it.

    Raises:
        CannotReproduceError: what is missing, all of it.
    """
    missing: list[str] = []
    record, source = _needed(run, layout.RUN, missing), _needed(run, layout.SOURCE, missing)
    command = record.command if record is not None else None
    if isinstance(command, Unavailable):
        missing.append(f"its command is not known ({command.unavailable})")
    if record is not None and source is not None and isinstance(command, CommandPart):
        missing += _missing_of_command(command, source)
    if missing or record is None or source is None or not isinstance(command, CommandPart):
        raise cannot(run, missing)
    git, train = _read(run, layout.GIT), _read(run, layout.TRAIN_CONFIG)
    repository = git.repository if git is not None else None
    determinism = train.phases[0].determinism if train is not None and train.phases else None
    return Recipe(
        run=run,
        record=record,
        command=command,
        source=source,
        root=_folder(source.root),
        folder=_folder(command.working_directory),
        repository=repository if isinstance(repository, RepositoryPart) else None,
        packages=_read(run, layout.PACKAGES),
        system=_read(run, layout.SYSTEM),
        determinism=determinism if isinstance(determinism, DeterminismPart) else None,
        dataset_source=record.dataset_source,
    )


def cannot(run: Run, missing: list[str]) -> CannotReproduceError:
    """The error that names what is missing."""
    lines = "".join(f"\n  - {each}" for each in missing)
    return CannotReproduceError(f"cannot run {run.path} again; this is missing or in the way:{lines}")


def _needed(run: Run, file: layout.RecordFile[Any], missing: list[str]) -> Any:
    try:
        return run.read(file)
    except ArchiverError as error:
        missing.append(f"{file.path(run.name)}: {error}")
        return None


def _read(run: Run, file: layout.RecordFile[Any]) -> Any:
    try:
        return run.read_if_there(file)
    except ArchiverError:
        return None


def _folder(path: str | Unavailable) -> Path:
    return Path(os.path.expanduser(path)) if isinstance(path, str) else Path(os.sep)


def _missing_of_command(command: CommandPart, source: SourceRecord) -> list[str]:
    notebook = source.notebook
    if notebook is not None and isinstance(source.entry, str) and source.entry == notebook.cells:
        missing = []
        if notebook.redacted:
            missing.append(f"secrets were taken out of the cells of its notebook ({REDACTED}), which would not run")
        if notebook.left_out_count:
            missing.append(f"the first {notebook.left_out_count} cells of its notebook were too much to be recorded")
        return missing
    missing = []
    if command.redacted:
        missing.append(f"secrets were taken out of its command ({REDACTED}); run it again yourself")
    if command.start in ("standard_input", "interactive"):
        what = "typed at a prompt" if command.start == "interactive" else "read from standard input"
        missing.append(f"its program was {what}, and stands in no file")
    elif command.target is None:
        missing.append("what was started is not known")
    return missing

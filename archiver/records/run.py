"""What a run is: its name, what the user said of it, and the process that trained it."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archiver.records.base import Json, Part, Record, Unavailable, UtcTime
from archiver.records.journal import ProcessIdentity
from archiver.records.source import CommandPart


class RunNamePart(Part):
    """The run's name, as it stands in the files and as the user wrote it."""

    name: str
    original: str
    condition: str | None = None
    architecture: str | None = None
    config: str | None = None
    version: Annotated[int, Field(ge=1)] = 1
    """2 for the second run of this name in the same root, and so on."""


class RunRecord(Record):
    """`configs/<name>_run.json`: on the disk before the first step."""

    KIND: ClassVar[str] = "run"
    kind: Literal["run"] = "run"
    name: RunNamePart
    created: UtcTime
    local_offset_seconds: int
    """How far local time was ahead of UTC."""
    archiver_version: str
    process: ProcessIdentity
    command: CommandPart | Unavailable
    group: str | None = None
    """What binds several runs together: folds of one validation, seeds of one configuration."""
    tags: tuple[str, ...] = ()
    notes: Json = None
    dataset_source: Json = None
    formats: tuple[str, ...] = ()
    """The model formats that were asked for."""
    monitor: str | None = None
    """The metric that decides which epoch is the best one, as asked for."""
    unfinished_runs: tuple[str, ...] = ()
    """Names of earlier runs of the same name that had not ended when this one began."""
    redirected_from: str | None = None
    """The folder that the program asked for, where the variable `ARCHIVER_ROOT` sent its runs elsewhere, as
    `archiver reproduce` does; null: it was heard."""

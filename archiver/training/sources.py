"""Describing the files behind the data beside the training, for as long as that lasts and little longer."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from archiver import layout
from archiver.collect.data_paths import NamedPath
from archiver.collect.data_sources import SourcePart, describe_paths
from archiver.collect.listed_files import ListedFiles, common_folder, describe_listed, listed_files, names_classes
from archiver.collect.reading_limits import Limits
from archiver.records.base import Unavailable
from archiver.records.data_source import DataSource, ListedFilesPart, NotDescribedPart
from archiver.training.background import Job, Task

T = TypeVar("T")

PATIENCE_SECONDS = 2.0
"""How long the end of a training waits for the content of the data to be read; enough for one to four gigabytes."""
GRACE_SECONDS = 1.0
"""How long it then waits for the reading to stop, which takes one block of one file."""

NICENESS = 10
"""By how much the reading thread stands back; without it, training in tiny steps on all cores took 1.8 times as long
while a folder of small images was read, with it 1.0 to 1.5 times."""

NOTHING_NAMED = Unavailable(unavailable="no file or folder was named")
NOT_YET = Unavailable(unavailable="the training ended before it was known")


class Sources:
    """What a run knows of the files behind its data."""

    def __init__(self) -> None:
        self.described: tuple[SourcePart, ...] = ()
        """Files and folders."""
        self.listed: tuple[ListedFilesPart, ...] = ()
        """What data sets told, of all phases."""
        self.is_complete = False
        """Whether the description was not cut short by the end of a training."""
        self.is_awaited = False

    def record(self, class_names: tuple[str, ...] | None) -> tuple[DataSource, ...] | Unavailable:
        """What the record says, if its class names are these."""
        if not self.described and not self.listed:
            return NOT_YET if self.is_awaited and not self.is_complete else NOTHING_NAMED
        listed = (
            part.model_copy(update={"names_the_classes": part.names_the_classes and part.class_names == class_names})
            for part in self.listed
        )
        return (*self.described, *listed)


class RunWithSources(Protocol):
    """What is needed of a session."""

    options: Any
    class_names: tuple[str, ...] | None
    sources: Sources

    @property
    def model(self) -> Any:
        """The model that is trained."""


class StoppableTask(Task):
    """A task that is told to stop when nobody waits any longer."""

    def __init__(self, find: Callable[[threading.Event], T], publish: Callable[[T], None]) -> None:
        self._stop = threading.Event()
        super().__init__(lambda: find(self._stop), publish)

    def is_done(self, patience_seconds: float | None) -> bool:
        """Wait, then have the function stop; whether it has ended."""
        if super().is_done(patience_seconds):
            return True
        self._stop.set()
        return super().is_done(GRACE_SECONDS)


def describe_beside(session: RunWithSources, inputs: Mapping[str, Any], write: Callable[[], object]) -> Job | None:
    """Take class names from data sets that have them, and begin to describe files; None if there is nothing to do.

    Args:
        session: the run; what an earlier phase found is kept, unless it was cut short.
        inputs: by split, the data sets.
        write: writes the record of the data.
    """
    told = (listed_files(split, data_set) for split, data_set in inputs.items())
    listed = [each for each in told if each is not None]
    naming = _take_class_names(session, listed)
    sources = session.sources
    paths = () if sources.is_complete else session.options.data_paths
    if not paths and not listed:
        return None
    sources.is_awaited = True
    before = sources.described if sources.is_complete else ()

    def find(stop: threading.Event) -> tuple[tuple[SourcePart, ...], tuple[ListedFilesPart, ...], bool]:
        _stand_back()
        described = _describe(before, paths, listed, Limits(stop))
        parts = tuple(describe_listed(each, names_the_classes=each is naming) for each in listed)
        return described, parts, not stop.is_set()

    def publish(found: tuple[tuple[SourcePart, ...], tuple[ListedFilesPart, ...], bool]) -> None:
        sources.described, new, sources.is_complete = found
        sources.listed += new
        write()

    return Job("data sources", layout.DATASET_STATS, StoppableTask(find, publish), patience_seconds=PATIENCE_SECONDS)


def _stand_back() -> None:
    """Lower the priority of the calling thread; on Linux each thread has its own."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS))


def _take_class_names(session: RunWithSources, listed: Sequence[ListedFiles]) -> ListedFiles | None:
    """The data set whose class names the record takes, since the user gave none."""
    if session.class_names is not None:
        return None
    width = _output_width(session.model)
    naming = next((each for each in listed if names_classes(each, width)), None)
    if naming is not None:
        session.class_names = naming.class_names
    return naming


def _output_width(model: Any) -> int | None:
    shape = getattr(model, "output_shape", None) if getattr(model, "built", False) else None
    width = shape[-1] if isinstance(shape, tuple) and len(shape) == 2 else None  # noqa: PLR2004 - samples, outputs
    return width if isinstance(width, int) else None


def _describe(
    before: tuple[SourcePart, ...], paths: Sequence[NamedPath], listed: Sequence[ListedFiles], limits: Limits
) -> tuple[SourcePart, ...]:
    """The paths that the user named; where none of them is there, the folders that the data sets name."""
    parts = (*before, *describe_paths(paths, limits))
    if any(not isinstance(part, NotDescribedPart) for part in parts):
        return parts
    folders: dict[str, NamedPath] = {}
    for each in listed:
        folder = common_folder(each)
        if folder is not None:
            folders.setdefault(folder, NamedPath(f"{each.split}.file_paths", folder, is_surely_path=True))
    return (*parts, *describe_paths(folders.values(), limits))

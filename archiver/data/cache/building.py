"""`build_cache`: all recordings of a data set into one cache; what is there already is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from archiver.data.cache.extraction import Skipped, Windowing, chosen_channels
from archiver.data.cache.packing import (
    FailedRecording,
    PackedRecording,
    Stopped,
    StoppedRecording,
    failed,
    item_scaling,
    joined,
    opened,
    packed_pieces,
    packed_windows,
    source_of,
)
from archiver.data.cache.recording import Recording, RecordingSource, as_source
from archiver.data.cache.records import read_manifest
from archiver.data.cache.stopping import Stopping, heard_signals, watched_memory
from archiver.data.cache.window_cache import cache_header
from archiver.data.cache.workers import Packed, Work, packed_in_workers
from archiver.data.cache.writer import CacheWriter
from archiver.data.feeding.scaling import Scaling
from archiver.errors import ArgumentError, DataError, MissingExtraError, RunStateError, StorageError
from archiver.storage import files
from archiver.storage.jsonable import jsonable

OnText = Callable[[str], None]
PARTS_SUFFIX = ".parts"


@dataclass(frozen=True, eq=False)
class CacheStorage:
    """How a cache keeps windows; the arguments of `WindowCache.create`, which says what they are."""

    dtype: Any = np.float32
    codec: str = "bitshuffle_lz4"
    scale: Any = None
    offset: Any = 0.0
    stored_dtype: Any = np.int16
    maximal_error: float | None = None

    def create(self, path: Path, shape: tuple[int, ...], description: Mapping[str, Any]) -> CacheWriter:
        """Begin a cache, or go on with one; a complete one is opened too."""
        header = cache_header(
            shape,
            np.dtype(self.dtype),
            self.codec,
            self.scale,
            self.offset,
            np.dtype(self.stored_dtype),
            self.maximal_error,
            "refuse",
        )
        return CacheWriter(path, header.model_copy(update={"description": dict(jsonable(description))}))


@dataclass
class BuildResult:
    """How a build ended.

    Attributes:
        path: of the cache.
        item_count: recordings that are in it.
        window_count: windows that are in it.
        failed: recordings that could not be taken, with the reasons; the next build tries them again.
        left: recordings that belong to it and are neither in it nor were given.
        stopped: why it stopped before its end; None: it did not.
        is_memory: whether it stopped because memory would have run out.
        absent_events: events that were asked for and that none of its recordings has.
    """

    path: Path
    item_count: int = 0
    window_count: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    stopped: str | None = None
    is_memory: bool = False
    absent_events: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every recording is in it."""
        return self.stopped is None and not self.failed and not self.left

    def final_line(self) -> str:
        """`COMPLETE` with what is there, `PART` where not all was asked for, or where it stopped."""
        recordings = "1 recording" if self.item_count == 1 else f"{self.item_count} recordings"
        there = f"{recordings}, {self.window_count:,} windows in {self.path}"
        if self.absent_events:
            there += f"; none of them has the event {' or '.join(map(repr, self.absent_events))}: is it spelled so?"
        if self.stopped is not None:
            return f"STOPPED ({self.stopped}): {there}; run it again to go on"
        if self.failed:
            names = ", ".join(list(self.failed)[:5]) + (", ..." if len(self.failed) > 5 else "")  # noqa: PLR2004
            return (
                f"NOT COMPLETE: {there}; {len(self.failed)} could not be taken: {names}; mend these or leave them out "
                "of the plan, and run it again"
            )
        if self.left:
            return f"PART: {there}; {len(self.left)} more belong to it; build them too to complete it"
        return f"COMPLETE: {there}"


def build_cache(
    path: str | Path,
    recordings: Iterable[Recording | RecordingSource],
    windowing: Windowing,
    storage: CacheStorage | None = None,
    *,
    workers: int = 1,
    memory_limit_bytes: int | None = None,
    description: Mapping[str, Any] | None = None,
    others: Iterable[str] = (),
    on_line: OnText | None = None,
    on_item: OnText | None = None,
) -> BuildResult:
    """Cut windows from recordings into a cache. Called again, it goes on: what is whole is skipped.

    Each recording becomes an item, whole or not at all. A recording that cannot be taken is named, and the others go
    on. Before memory runs out, and at SIGINT or SIGTERM, the build stops cleanly.

    Args:
        path: of the cache.
        recordings: recordings, or sources of these that are opened one at a time; their names differ.
        windowing: how windows are cut.
        storage: how they are kept; None: float32, exactly, bitshuffle and LZ4.
        workers: processes that cut and pack.
        memory_limit_bytes: of anonymous memory of each process; None: 85 % of what there is, containers included.
        description: what an archive should know.
        others: names of recordings that belong to the cache too, but are left to another call: it is not completed
            without them.
        on_line: told what happens, a line each.
        on_item: told the name of each recording that is done with.

    Raises:
        ArgumentError: no recordings, two of the same name, or an argument that cannot be.
        DataError: no recording can be taken, where the windows' shape depends on one.
        RunStateError: the cache was begun with other arguments, or another process writes it.
        MissingExtraError: a library is needed that is not installed.
        StorageError: the file system refused, such as a full disk; what is done stays.
    """
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ArgumentError(f"Received workers={workers!r}. Expected a whole number of at least 1.")
    sources, place, kept = _sources(recordings), Path(path), storage or CacheStorage()
    described = {"windowing": windowing.described(), **(description or {})}
    shape = _window_shape(place, sources, windowing)
    with kept.create(place, shape, described) as writer:
        build = _Build(writer, windowing, on_line or _nothing, on_item or _nothing, tuple(others))
        left = build.left(sources)
        if writer.manifest.complete is None:
            build.run(left, workers, memory_limit_bytes)
        return build.result()


def _nothing(_text: str) -> None:
    pass


def _sources(recordings: Iterable[Recording | RecordingSource]) -> list[RecordingSource]:
    sources = [as_source(each) for each in recordings]
    names = [source.name for source in sources]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if not sources or twice:
        received = f"two recordings of the name {twice[0]!r}" if twice else "no recordings"
        raise ArgumentError(f"Received {received}. Expected at least one, of different names.")
    return sources


def _window_shape(path: Path, sources: list[RecordingSource], windowing: Windowing) -> tuple[int, int]:
    """That of the cache which is there, else of the first recording that can be opened."""
    begun = read_manifest(path)
    if begun is not None and len(begun.header.window_shape) == 2:  # noqa: PLR2004 - channels and samples
        return (begun.header.window_shape[0], windowing.length_samples)
    if windowing.channels is not None:
        return (len(windowing.channels), windowing.length_samples)
    reasons: list[str] = []
    for source in sources:
        try:
            return (len(chosen_channels(opened(source), windowing)), windowing.length_samples)
        except Exception as error:  # noqa: BLE001 - whatever a user's own reader raises
            reasons.append(f"{source.name}: {failed(source.name, error).reason}")
    raise DataError("\n".join(["Received no recording that can be taken:", *reasons[:5]]))


class _Build:
    """Puts recordings into a cache."""

    def __init__(
        self, writer: CacheWriter, windowing: Windowing, say: OnText, done: OnText, others: tuple[str, ...]
    ) -> None:
        self.writer, self.windowing, self.say, self.done, self.others = writer, windowing, say, done, others
        self.failed: dict[str, str] = {}
        self.stopped: str | None = None
        self.stopping = Stopping()

    def left(self, sources: list[RecordingSource]) -> list[RecordingSource]:
        """Those that are not there yet."""
        found = [source for source in sources if source.name not in self.writer]
        self.say(f"{self.writer.path}: {len(sources) - len(found)} of {len(sources)} recordings are there")
        for source in sources:
            if source.name in self.writer:
                self.done(source.name)
        if self.writer.manifest.complete is not None and found:
            raise RunStateError(
                f"{self.writer.path} is complete without {found[0].name!r}. Build another cache for new recordings and "
                "read both as one data set, or remove it."
            )
        return found

    def run(self, sources: list[RecordingSource], workers: int, memory_limit_bytes: int | None) -> None:
        """Take all, or stop."""
        files.remove(self._folder)  # of a process that was killed
        deaf = f"STOPPED: {self.writer.path}: memory ran out within one step; run it again to go on"
        with (
            heard_signals(self.stopping),
            watched_memory(self.stopping, memory_limit_bytes, lambda reason: self.say(f"{deaf} ({reason})")),
        ):
            try:
                if workers == 1:
                    for source in sources:
                        self._take(source)
                else:
                    self._take_packed(sources, workers, memory_limit_bytes)
            except Stopped as stop:
                self.stopped = str(stop)
        if self.stopped is None and not self.failed and not self._still_left():
            self.writer.complete()

    @property
    def _folder(self) -> Path:
        """For packed windows that wait."""
        return self.writer.path.with_name(f"{self.writer.path.name}{PARTS_SUFFIX}")

    def _still_left(self) -> tuple[str, ...]:
        return tuple(name for name in self.others if name not in self.writer and name not in self.failed)

    def _take(self, source: RecordingSource) -> None:
        header = self.writer.manifest.header
        self.stopping.check()
        try:
            recording, skipped = opened(source), Skipped()
            scaling = item_scaling(recording, self.windowing, header)
            notes: dict[str, Any] = {}
            with self.writer.item(source.name, **_own(scaling), source=notes) as item:
                for piece in packed_pieces(recording, self.windowing, header, skipped, self.stopping.check):
                    item.append_packed(piece.chunks, piece.columns, piece.maximal_error)
                notes.update(source_of(recording, skipped))
        except (Stopped, StorageError, MissingExtraError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a user's own reader raises
            self._note(failed(source.name, error))
        else:
            self._note_taken()
        self.done(source.name)

    def _take_packed(self, sources: list[RecordingSource], workers: int, memory_limit_bytes: int | None) -> None:
        files.claim_folder(self._folder)
        try:
            work = Work(self.windowing, self.writer.manifest.header, self._folder, memory_limit_bytes)
            for packed in packed_in_workers(sources, work, workers, self.stopping):
                self._put(packed)
                self.stopping.check()
        finally:
            files.remove(self._folder)

    def _put(self, packed: Packed) -> None:
        if isinstance(packed, StoppedRecording):
            self.stopping.ask(packed.reason, is_memory=packed.is_memory)
            self.stopping.check()
        elif isinstance(packed, FailedRecording):
            self._note(packed)
        else:
            self._put_windows(packed)
        self.done(packed.name)

    def _put_windows(self, packed: PackedRecording) -> None:
        try:
            with self.writer.item(packed.name, **_own(packed.scaling), source=packed.source) as item:
                begin, columns = 0, joined(packed.columns)
                for chunks in packed_windows(packed.path):
                    end = begin + len(chunks)
                    own = {path: rows[begin:end] for path, rows in columns.items()}
                    item.append_packed(chunks, own, packed.maximal_error)
                    begin = end
        except DataError as error:
            self._note(failed(packed.name, error))
        else:
            self._note_taken()
        files.remove(packed.path)

    def _note(self, failure: FailedRecording) -> None:
        self.failed[failure.name] = failure.reason
        self.say(f"{failure.name}: NOT TAKEN: {failure.reason}")
        if failure.details:
            self.say(failure.details)

    def _note_taken(self) -> None:
        item = self.writer.manifest.items[-1]
        skipped = item.source["skipped"]
        left_out = ", ".join(f"{name} {value}" for name, value in skipped.items() if value)
        self.say(f"{item.item}: {item.window_count:,} windows{f' (left out: {left_out})' if left_out else ''}")

    def result(self) -> BuildResult:
        """How it ended."""
        manifest = self.writer.manifest
        is_memory = self.stopped is not None and self.stopping.is_memory
        return BuildResult(
            self.writer.path,
            len(manifest.items),
            manifest.window_count,
            self.failed,
            self._still_left(),
            self.stopped,
            is_memory,
            self._absent_events(),
        )

    def _absent_events(self) -> tuple[str, ...]:
        absent = [set(item.source["skipped"].get("absent_events", ())) for item in self.writer.manifest.items]
        return tuple(sorted(set.intersection(*absent))) if absent else ()


def _own(scaling: Scaling | None) -> dict[str, Any]:
    return {} if scaling is None else {"scale": scaling.scale, "offset": scaling.offset}

"""A run while another process trains it, from its files alone: what is new is read, and what is shown is kept.

Journal and traces are read as they grow, so that a run of a week costs as little per second as one of a minute, and
memory does not grow with the run. `traces/steps.csv` is not read: a training writes it when an epoch ends, and the
journal has the number of steps and the usual step then. What happens inside of an epoch stands in no file; how far it
has come is told by the clock and by the epochs before.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from archiver import layout
from archiver.archive.directions import Mode, direction_by_name, is_better
from archiver.archive.findings import printable
from archiver.archive.following_traces import Curve, FollowedTrace
from archiver.archive.phases import count, real
from archiver.archive.run import Run
from archiver.archive.status import Status, status_of
from archiver.archive.telling import told
from archiver.errors import ArchiverError
from archiver.records.base import utc_now
from archiver.records.journal import JournalEvent
from archiver.storage.following import LineFollower
from archiver.storage.journal import JOURNAL_NAME, JournalContents

KEPT_NOTES = 50
KEPT_STATUS_EVENTS = 64
KEPT_DURATIONS = 21
PATIENCE_AFTER_FAILURE_SECONDS = 10.0
MAXIMAL_METRICS = 200
"""A stranger's journal may name a new metric in every line."""


@dataclass
class FollowedMetric:
    """One metric of the epochs that have ended."""

    mode: Mode | None = None
    """Whether less or more of it is better, where that is known."""
    curve: Curve = field(default_factory=Curve)
    best: float | None = None
    best_epoch: int | None = None
    """Of all epochs of the run, the first is 1."""

    def add(self, value: float | None, epoch_number: int) -> None:
        """The value of the next epoch."""
        self.curve.add(value)
        if value is not None and self.mode is not None and is_better(value, self.best, self.mode):
            self.best, self.best_epoch = value, epoch_number


@dataclass(frozen=True)
class Note:
    """Something a watcher should see: a cooling break, a memory alert, a warning, a step that failed."""

    at: datetime
    """UTC."""
    text: str
    """One printable line."""


@dataclass
class FollowedPhase:
    """The call of `fit` that goes on, or that was the last one."""

    number: int = 0
    started: datetime | None = None
    began: datetime | None = None
    """When the first epoch was about to begin."""
    planned_epochs: int | None = None
    epochs_done: int = 0
    batch_count: int | None = None
    step_count: int | None = None
    """Of the last epoch that ended."""
    median_step_seconds: float | None = None
    limits: dict[str, float] = field(default_factory=dict)
    """What `training_began` tells: `memory_soft_bytes`, `memory_hard_bytes`, `cpu_celsius`, `gpu_celsius`."""


class FollowedRun:
    """A run whose files are read again and again. Nothing is ever written, and nothing in the files is trusted.

    Args:
        run: the archive; its journal may still be empty.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.phase = FollowedPhase()
        self.phase_count = self.epochs_done = self.step_count = 0
        """Of the whole run."""
        self.metrics: dict[str, FollowedMetric] = {}
        self.learning_rate: float | None = None
        self.monitor: str | None = None
        """The metric that decides which epoch is the best one."""
        self.monitored_epoch: int | None = None
        """The best epoch so far, counted over the run from 1."""
        self.test_metrics: dict[str, float] = {}
        self.began: datetime | None = None
        self.last_event: datetime | None = None
        self.last_epoch_end: datetime | None = None
        self.epoch_seconds: deque[float] = deque(maxlen=KEPT_DURATIONS)
        """From the end of an epoch to that of the next, of this phase, the latest ones."""
        self.notes: deque[Note] = deque(maxlen=KEPT_NOTES)
        self.counts: dict[str, int] = {}
        """How often each event was seen."""
        self.cooling_seconds = 0.0
        self.fault_count = 0
        """Lines of the journal that cannot be read."""
        self.trouble: str | None = None
        """Why the journal cannot be read at all."""
        self.status = Status("running", sealed=False)
        self.memory = FollowedTrace(run.path, layout.MEMORY_TRACE.pattern)
        self.utilisation = FollowedTrace(run.path, layout.UTILISATION_TRACE.pattern)
        self.temperature = FollowedTrace(run.path, layout.TEMPERATURE_TRACE.pattern)
        self._journal = LineFollower(run.path, JOURNAL_NAME)
        self._status_events: deque[JournalEvent] = deque(maxlen=KEPT_STATUS_EVENTS)
        self._restarts = 0

    # -- reading

    def read(self) -> bool:
        """Read what is new; whether there is so much more already that it should be called again at once."""
        more = self._read_journal()
        if self._restarts != self._journal.restarts:  # somebody replaced the journal: all was told by the old one
            self.__init__(self.run)  # type: ignore[misc]
            return True
        for trace in (self.memory, self.utilisation, self.temperature):
            more = trace.read() or more
        if self.phase.planned_epochs is None and self.phase.started is not None:
            self.phase.planned_epochs = self._planned_epochs()
        self.status = status_of(
            JournalContents(tuple(self._status_events), (), 0), sealed=self.run.has(layout.MANIFEST_BLAKE3)
        )
        return more

    def _read_journal(self) -> bool:
        try:
            lines = self._journal.read()
            self.trouble = None
        except (ArchiverError, OSError) as error:
            self.trouble = printable(str(error))
            return False
        if self._restarts == self._journal.restarts:
            for line in lines:
                self._take(line)
        return self._journal.has_more

    @property
    def progress_of_reading(self) -> float:
        """The share of the journal that was read, 0 to 1."""
        return self._journal.read_bytes / self._journal.size_bytes if self._journal.size_bytes else 1.0

    def _planned_epochs(self) -> int | None:
        try:
            config = self.run.read_if_there(layout.TRAIN_CONFIG)
        except ArchiverError:
            return None
        if config is None or len(config.phases) <= self.phase.number:
            return None
        phase = config.phases[self.phase.number]
        epochs, first = phase.epochs, phase.initial_epoch
        return max(0, epochs - (first if isinstance(first, int) else 0)) if isinstance(epochs, int) else None

    def _take(self, line: bytes) -> None:
        """One line of the journal. Most are ends of epochs, for which plain JSON is ten times as fast."""
        try:
            event = _event(json.loads(line))
        except (ValueError, RecursionError, ValidationError):
            self.fault_count += 1
            return
        self.began = self.began or event.utc
        self.last_event = event.utc
        self.counts[event.event] = self.counts.get(event.event, 0) + 1
        if isinstance(event, JournalEvent) and event.event in ("created", "phase_started", "status"):
            self._status_events.append(event)
        taker = _TAKERS.get(event.event)
        if taker is not None:
            taker(self, event.utc, event.details)
        text = told(event.event, event.details)
        if text is not None:
            self.notes.append(Note(event.utc, printable(text)))

    # -- events

    def _start_phase(self, at: datetime, _: dict[str, Any]) -> None:
        self.phase = FollowedPhase(number=self.phase_count, started=at)
        self.phase_count += 1
        self.epoch_seconds.clear()
        self.last_epoch_end = None

    def _begin_training(self, at: datetime, details: dict[str, Any]) -> None:
        self.phase.began = self.last_epoch_end = at
        self.phase.batch_count = count(details.get("batch_count"))
        limits = details.get("limits")
        for name, value in (limits if isinstance(limits, dict) else {}).items():
            number = real(value)
            if number is not None and math.isfinite(number):
                self.phase.limits[name] = number

    def _end_epoch(self, at: datetime, details: dict[str, Any]) -> None:
        self.epochs_done += 1
        self.phase.epochs_done += 1
        if self.last_epoch_end is not None:
            self.epoch_seconds.append(max(0.0, (at - self.last_epoch_end).total_seconds()))
        self.last_epoch_end = at
        steps = count(details.get("step_count"))
        self.step_count += steps or 0
        self.phase.step_count = steps
        self.phase.median_step_seconds = real(details.get("median_step_seconds"))
        self.learning_rate = real(details.get("learning_rate"))
        metrics, directions = details.get("metrics"), details.get("directions")
        for name, value in (metrics if isinstance(metrics, dict) else {}).items():
            self._metric(name, directions).add(real(value), self.epochs_done)

    def _metric(self, name: str, directions: Any) -> FollowedMetric:
        if name not in self.metrics and len(self.metrics) >= MAXIMAL_METRICS:
            return FollowedMetric()
        metric = self.metrics.setdefault(name, FollowedMetric(direction_by_name(name)))
        mode = directions.get(name) if isinstance(directions, dict) else None
        if mode in ("min", "max"):
            metric.mode = mode
        return metric

    def _note_best(self, _: datetime, details: dict[str, Any]) -> None:
        monitor = details.get("monitor")
        self.monitor = monitor if isinstance(monitor, str) else None
        self.monitored_epoch = self.epochs_done

    def _note_break(self, _: datetime, details: dict[str, Any]) -> None:
        seconds = real(details.get("duration_seconds"))
        if seconds is not None and math.isfinite(seconds):
            self.cooling_seconds += seconds

    def _note_test(self, _: datetime, details: dict[str, Any]) -> None:
        metrics = details.get("metrics")
        found = {name: real(value) for name, value in metrics.items()} if isinstance(metrics, dict) else {}
        self.test_metrics = {name: value for name, value in list(found.items())[:MAXIMAL_METRICS] if value is not None}

    # -- what follows from it

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to come of this training: it is sealed, or its process is gone."""
        if self.status.status == "running":
            return False
        if self.status.sealed or self.status.status == "interrupted" or not self._is_alive():
            return True
        # The process of a notebook lives on after an exception, and nobody may call it again.
        return self.status.status == "failed" and _age_seconds(self.last_event) > PATIENCE_AFTER_FAILURE_SECONDS

    def _is_alive(self) -> bool:
        started = [event for event in self._status_events if event.event != "status"]
        return status_of(JournalContents(tuple(started), (), 0), sealed=False).status == "running"

    @property
    def last_sign(self) -> float | None:
        """When journal or traces were last written, in seconds since 1970."""
        files = (self._journal, self.memory.lines, self.utilisation.lines)
        return max((each.modified_seconds for each in files if each.modified_seconds is not None), default=None)

    def usual_epoch_seconds(self) -> float | None:
        """The median of the latest epochs; the first one, in which models are compiled, counts where it is alone."""
        seconds = sorted(self.epoch_seconds)
        if len(seconds) > 1 and self.phase.epochs_done <= KEPT_DURATIONS:
            seconds = sorted(list(self.epoch_seconds)[1:])
        return seconds[len(seconds) // 2] if seconds else None

    def epoch_share(self, now: datetime) -> float:
        """How far the epoch under way has come, 0 to 1, by the clock; 0 as long as none has ended."""
        usual = self.usual_epoch_seconds()
        if not usual or self.last_epoch_end is None or self.status.status != "running":
            return 0.0
        return min(0.99, max(0.0, (now - self.last_epoch_end).total_seconds() / usual))

    def seconds_left(self, now: datetime) -> float | None:
        """Until the last planned epoch ends, going by the epochs that have; None as long as that cannot be told."""
        usual, planned = self.usual_epoch_seconds(), self.phase.planned_epochs
        if self.status.status != "running" or usual is None or planned is None or self.last_epoch_end is None:
            return None
        left = planned - self.phase.epochs_done
        under_way = min(usual, max(0.0, (now - self.last_epoch_end).total_seconds()))
        return max(0.0, left * usual - under_way) if left > 0 else 0.0


_TAKERS = {
    "phase_started": FollowedRun._start_phase,  # noqa: SLF001 - of this very module
    "training_began": FollowedRun._begin_training,  # noqa: SLF001
    "epoch_ended": FollowedRun._end_epoch,  # noqa: SLF001
    "best_epoch": FollowedRun._note_best,  # noqa: SLF001
    "cooling_break": FollowedRun._note_break,  # noqa: SLF001
    "evaluated": FollowedRun._note_test,  # noqa: SLF001
}


@dataclass(frozen=True)
class _PlainEvent:
    """What is needed of the end of an epoch."""

    event: str
    utc: datetime
    details: dict[str, Any]


def _event(value: Any) -> JournalEvent | _PlainEvent:
    if isinstance(value, dict) and value.get("event") == "epoch_ended" and isinstance(value.get("details"), dict):
        at = datetime.fromisoformat(str(value.get("utc")))
        if at.tzinfo is None:
            raise ValueError("the time has no offset")
        return _PlainEvent("epoch_ended", at, value["details"])
    return JournalEvent.model_validate_json(json.dumps(value))


def _age_seconds(moment: datetime | None) -> float:
    return (utc_now() - moment).total_seconds() if moment is not None else 0.0


# -- finding a run


def newest_run(folder: Path, since: float | None = None) -> Run | None:
    """The run in a folder of runs that began last; with `since` (seconds since 1970), the last that began after it."""
    best: tuple[float, Run] | None = None
    with contextlib.suppress(OSError):
        for child in folder.iterdir():
            began = _began(child)
            if began is not None and (since is None or began >= since) and (best is None or began > best[0]):
                best = (began, Run.open(child))
    return best[1] if best else None


def _began(folder: Path) -> float | None:
    """When the run in a folder was created, as the first line of its journal tells."""
    if folder.is_symlink() or not (folder / JOURNAL_NAME).is_file():
        return None
    try:
        lines = LineFollower(folder, JOURNAL_NAME).read()
        return datetime.fromisoformat(str(json.loads(lines[0])["utc"])).timestamp()
    except (ArchiverError, OSError, ValueError, LookupError, TypeError, RecursionError):
        return None

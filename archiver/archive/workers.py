"""What the processes that trained together wrote, summed up; and whether they had the same weights after each epoch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from pydantic import ValidationError

from archiver.records.base import Unavailable
from archiver.records.journal import JournalEvent, ProcessIdentity
from archiver.records.workers import DisagreementPart, WorkerOutcome, WorkerPart, WorkersRecord
from archiver.storage.journal import JournalContents

FOLDER = "workers"
EVENTS_NAME = "events.jsonl"
SYSTEM_NAME = "system.json"
MAXIMAL_WORKERS = 4096
MAXIMAL_DIGITS = 8
MAXIMAL_EVENTS_BYTES = 64 << 20
MAXIMAL_LISTED = 100
MAXIMAL_SECONDS = 1e9
_DIGEST = re.compile("[0-9a-f]{64}")

NOT_ENDED = "it did not say how it ended"
ABSENT = "it wrote nothing: it had no archive among its callbacks, or does not see this folder"
NO_EPOCH = Unavailable(unavailable="it ended no epoch")
UNKNOWN = Unavailable(unavailable="not known")


@dataclass
class _Worker:
    """One process, as its events tell."""

    details: dict[str, Any] = field(default_factory=dict)
    """Of its beginning."""
    digests: dict[tuple[int, int], str] = field(default_factory=dict)
    """By phase and epoch."""
    seconds: dict[tuple[int, int], float] = field(default_factory=dict)
    ends: dict[str, Any] | None = None
    """Of its last event, where it says how it ended."""
    peak_bytes: int | None = None


def build_workers(
    contents: Mapping[int, JournalContents], count: int | None = None, reasons: Mapping[int, str] | None = None
) -> WorkersRecord:
    """The record of what processes wrote.

    Args:
        contents: by number of the process, its events.
        count: of processes; None: as they say themselves.
        reasons: what the chief knows of those that did not end.
    """
    workers = {index: _worker(each.events) for index, each in contents.items()}
    first = workers.get(0) or next(iter(workers.values()), _Worker())
    told = (max(index + 1, _number(worker.details.get("count"))) for index, worker in workers.items())
    number = min(MAXIMAL_WORKERS, max(told, default=0) if count is None else count)
    parts = tuple(_part(index, workers.get(index), (reasons or {}).get(index)) for index in range(number))
    compared, found = _compare(workers)
    timed = {part.index: part.epoch_seconds for part in parts if part.epoch_seconds is not None}
    return WorkersRecord(
        backend=_text(first.details.get("backend")) or "not known",
        strategy=_text(first.details.get("strategy")),
        count=number,
        workers=parts,
        compared_epoch_count=compared,
        disagreements=tuple(found[:MAXIMAL_LISTED]),
        disagreement_count=len(found),
        slowest=max(timed, key=timed.__getitem__) if len(timed) > 1 else None,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _worker(events: tuple[JournalEvent, ...]) -> _Worker:
    worker = _Worker()
    for event in events:
        details = event.details
        if event.event == "phase_started":
            worker.details, worker.ends = details, None
        elif event.event == "epoch_ended":
            key = _number(details.get("phase")), _number(details.get("epoch"))
            digest, seconds = details.get("weights_digest"), details.get("seconds")
            if isinstance(digest, str) and _DIGEST.fullmatch(digest):
                worker.digests[key] = digest
            if isinstance(seconds, int | float):
                worker.seconds[key] = min(max(0.0, seconds), MAXIMAL_SECONDS)
        elif event.event == "status":
            worker.ends = details
            peak = _number(details.get("peak_rss_bytes"))
            if peak:
                worker.peak_bytes = max(peak, worker.peak_bytes or 0)
    return worker


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _part(index: int, worker: _Worker | None, reason: str | None) -> WorkerPart:
    if worker is None:
        return WorkerPart(
            index=index, process=UNKNOWN, devices=(), outcome="absent", reason=reason or ABSENT, epoch_count=0,
            epoch_seconds=None, peak_rss_bytes=UNKNOWN, weights_digest=NO_EPOCH,
        )  # fmt: skip
    outcome, said = _outcome(worker)
    devices = worker.details.get("devices")
    return WorkerPart(
        index=index,
        process=_process(worker.details.get("process")),
        devices=tuple(filter(None, map(_text, devices))) if isinstance(devices, list) else (),
        outcome=outcome,
        reason=(reason or said) if outcome == "lost" else said,
        epoch_count=len(worker.seconds),
        epoch_seconds=median(worker.seconds.values()) if worker.seconds else None,
        peak_rss_bytes=UNKNOWN if worker.peak_bytes is None else worker.peak_bytes,
        weights_digest=worker.digests[max(worker.digests)] if worker.digests else NO_EPOCH,
    )


def _outcome(worker: _Worker) -> tuple[WorkerOutcome, str | None]:
    if worker.ends is None:
        return "lost", NOT_ENDED
    if worker.ends.get("status") == "complete":
        return "complete", None
    return "failed", _text(worker.ends.get("reason")) or "the reason is not known"


def _process(value: Any) -> ProcessIdentity | Unavailable:
    try:
        return ProcessIdentity.model_validate(value)
    except ValidationError:
        return UNKNOWN


def _compare(workers: Mapping[int, _Worker]) -> tuple[int, list[DisagreementPart]]:
    compared, found = 0, []
    for phase, epoch in sorted({key for worker in workers.values() for key in worker.digests}):
        digests = {
            str(index): worker.digests[phase, epoch]
            for index, worker in workers.items()
            if (phase, epoch) in worker.digests
        }
        compared += len(digests) > 1
        if len(set(digests.values())) > 1:
            found.append(DisagreementPart(phase=phase, epoch=epoch, digests=digests))
    return compared, found


def warnings_of(record: WorkersRecord) -> Iterator[str]:
    """What somebody should be told of."""
    for part in record.workers:
        if part.outcome != "complete":
            yield f"worker {part.index} of {record.count} is {part.outcome}: {part.reason}"
    if record.disagreements:
        first = record.disagreements[0]
        yield (
            f"the processes did not have the same weights after {record.disagreement_count} of "
            f"{record.compared_epoch_count} epochs, first after epoch {first.epoch} of phase {first.phase}"
        )

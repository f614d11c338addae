"""The events of a journal, gathered by phase."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from archiver.errors import RecordError
from archiver.records.base import NON_FINITE
from archiver.records.journal import JournalEvent
from archiver.storage.journal import JOURNAL_NAME, JournalContents

CUT_OFF = ("memory_limit", "signal")
"""Reasons of a complete training to go on all the same."""


@dataclass
class Phase:
    """The events of one phase."""

    number: int
    started: JournalEvent
    last_sign: JournalEvent
    """The last event that the process of this phase wrote."""
    part: int
    """Of that process, the last one that went on with the phase."""
    began: JournalEvent | None = None
    """When archiver had collected everything, and training began."""
    epochs: list[JournalEvent] = field(default_factory=list)
    saved: list[JournalEvent] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)
    ended: JournalEvent | None = None
    resumed: list[JournalEvent] = field(default_factory=list)
    """When other processes went on with it."""


@contextlib.contextmanager
def understanding() -> Iterator[None]:
    """The details of an event are any JSON; what cannot be made sense of is an error of the journal."""
    try:
        yield
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise RecordError(f"{JOURNAL_NAME}: its events make no sense ({reason})") from error


def gather_phases(contents: JournalContents) -> list[Phase]:
    """The phases in order; events before the first are left out."""
    phases: list[Phase] = []
    for event in contents.events:
        if event.event == "phase_started":
            phases.append(Phase(len(phases), event, event, event.part))
        elif event.event == "resumed" and phases:
            _resume(phases[-1], event)
        elif phases:
            _add(phases[-1], event)
    return phases


def _resume(phase: Phase, event: JournalEvent) -> None:
    """Another process goes on: what the one before did behind the snapshot is done again."""
    goes_on_in = count(event.details.get("epoch")) or 0
    phase.part, phase.last_sign = event.part, event
    phase.epochs = [each for each in phase.epochs if (count(each.details.get("epoch")) or 0) < goes_on_in]
    phase.saved, phase.status, phase.ended = [], {}, None
    phase.resumed.append(event)


def _add(phase: Phase, event: JournalEvent) -> None:
    if event.part == phase.part:
        phase.last_sign = event
    if event.event == "training_began":
        phase.began = event
    elif event.event == "epoch_ended":
        phase.epochs.append(event)
    elif event.event == "models_saved":
        phase.saved.append(event)
    elif event.event == "status" and event.details.get("status") != "running":
        # That a process is gone is noticed later, perhaps by days.
        is_late = event.details.get("status") == "interrupted"
        phase.status, phase.ended = event.details, phase.last_sign if is_late else event


def real(value: Any) -> float | None:
    """A number of the journal, where NaN and infinities are strings; None for anything that is no number."""
    if isinstance(value, str):
        return NON_FINITE.get(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def count(value: Any) -> int | None:
    """A whole number of the journal, 0 or more; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None

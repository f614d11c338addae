"""What a run that another process began has recorded so far: a session that goes on with it begins with that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from archiver import layout
from archiver.archive.outcome import best_epoch
from archiver.archive.run import Run
from archiver.collect.splits import DescribedSplit, role_and_phase
from archiver.errors import ArchiverError
from archiver.records.base import Record, Unavailable

if TYPE_CHECKING:
    from archiver.training.session import Session

R = TypeVar("R", bound=Record)


def take_over(session: Session) -> None:
    """Read what the phases before have written; what cannot be read is left out."""
    run = session.run
    train, optimizer = _read(run, layout.TRAIN_CONFIG), _read(run, layout.OPTIMIZER_CONFIG)
    session.phase_records["train config"] = list(train.phases) if train is not None else []
    session.phase_records["optimizer config"] = list(optimizer.phases) if optimizer is not None else []
    telemetry, weights = _read(run, layout.TELEMETRY), _read(run, layout.WEIGHTS)
    if telemetry is not None:
        session.telemetry.take_over(telemetry.phases)
    if weights is not None:
        session.changes.take_over(weights.phases)
        session.weights_digest = weights.weights_digest
    stats = _read(run, layout.DATASET_STATS)
    if stats is not None:
        gone = Unavailable(unavailable="described by an earlier process of the run")
        session.earlier_stats = stats.model_copy(update={"schema_reference": ""})
        session.splits = {name: DescribedSplit(part, gone) for name, part in stats.splits.items()}


def begin_again_from(session: Session, phase: int, epochs_done: int) -> None:
    """Forget what the records say of a phase that is gone over again, and what comes after it."""
    records: dict[str, list[Any]] = session.phase_records
    for name, parts in records.items():
        records[name] = [part for part in parts if part.phase < phase]
    session.telemetry.take_over([part for part in session.telemetry.phases if part.phase < phase])
    session.changes.take_over([part for part in session.changes.phases if part.phase < phase])
    session.splits = {name: each for name, each in session.splits.items() if role_and_phase(name)[1] < phase}
    session.phase, session.epochs_done = phase - 1, epochs_done
    best = best_epoch(session.run, session.run.journal.read())
    if not isinstance(best, Unavailable):
        session.best.take_over(best)


def _read(run: Run, file: layout.RecordFile[R]) -> R | None:
    try:
        return run.read_if_there(file)
    except ArchiverError:
        return None

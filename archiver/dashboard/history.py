"""The metrics of a run epoch by epoch, from its journal, so that a run that goes on is shown as far as it has come."""

from __future__ import annotations

from archiver.archive.outcome import history_so_far
from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.records.training import History

Metrics = dict[str, list[float | None]]


def read_metrics(run: Run) -> Metrics:
    """By name, a value per epoch over all phases, the learning rate too; None where a phase has none."""
    history = _history(run)
    if history is None:
        return {}
    names = dict.fromkeys(name for phase in history.phases for name in phase.metrics)
    found: Metrics = {name: [] for name in (*names, "learning_rate")}
    for phase in history.phases:
        nothing = (None,) * len(phase.epochs)
        for name in names:
            found[name] += phase.metrics.get(name, nothing)
        found["learning_rate"] += phase.learning_rates
    return found


def _history(run: Run) -> History | None:
    try:
        return history_so_far(run)
    except (ArchiverError, OSError):
        return None

"""How long everything took, from the seconds in the journal; what is what stands at the fields of `Durations`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from archiver.archive.curves import median
from archiver.archive.phases import Phase, count, gather_phases, real
from archiver.records.base import Unavailable
from archiver.records.timing import Durations, PhaseTiming, Timing
from archiver.storage.journal import JournalContents, events_named

_NOT_BEGUN = Unavailable(unavailable="the process ended before training began")
_NO_STEPS = Unavailable(unavailable="no epoch ended whose steps were reported")
_NO_BATCH_SIZE = Unavailable(unavailable="the data does not tell its batch size")
_NO_EPOCH = Unavailable(unavailable="no epoch ended")


def build_timing(contents: JournalContents) -> Timing:
    """The time of a run as its journal tells it. Sealing is left out: it may be done again while the results stay."""
    phases = [_phase_timing(phase) for phase in gather_phases(contents)]
    evaluated = (real(event.details.get("seconds")) for event in events_named(contents, "evaluated"))
    testing = [seconds for seconds in evaluated if seconds is not None]
    return Timing(
        whole_run=_sum(phases),
        testing_seconds=sum(testing) if testing else Unavailable(unavailable="no test data was evaluated"),
        phases=tuple(phases),
    )


def _phase_timing(phase: Phase) -> PhaseTiming:
    began = phase.began.details if phase.began else None
    epochs = [event.details for event in phase.epochs]
    epoch_seconds = _column(epochs, "seconds")
    train = _column(epochs, "train_seconds")
    validation = _column(epochs, "validation_seconds")
    steps = [number for number in (count(epoch.get("step_count")) for epoch in epochs) if number is not None]
    samples = _samples(began or {}, steps)
    saved = [value for value in (real(event.details.get("seconds")) for event in phase.saved) if value is not None]
    train_seconds = sum(train) if train else _NO_STEPS
    step_count = sum(steps) if steps else _NO_STEPS
    return PhaseTiming(
        phase=phase.number,
        started=phase.started.utc,
        training_began=phase.began.utc if phase.began else _NOT_BEGUN,
        ended=phase.ended.utc if phase.ended else Unavailable(unavailable="the journal has no end of this phase"),
        local_offset_seconds=_offset(phase),
        total_seconds=_total(phase, epoch_seconds),
        preparation_seconds=_preparation(began),
        collecting_seconds=_or(real((began or {}).get("collecting_seconds")), _NOT_BEGUN),
        train_seconds=train_seconds,
        validation_seconds=sum(validation) if validation else Unavailable(unavailable="no epoch was validated"),
        other_epoch_seconds=max(0.0, sum(epoch_seconds) - sum(train) - sum(validation)) if train else _NO_STEPS,
        saving_seconds=sum(saved) if saved else Unavailable(unavailable="no model was saved"),
        step_count=step_count,
        sample_count=samples,
        steps_per_second=_speed(step_count, train_seconds),
        samples_per_second=_speed(samples, train_seconds),
        median_epoch_seconds=median(epoch_seconds) if epoch_seconds else _NO_EPOCH,
        **_steps(epochs),
    )


def _column(epochs: Iterable[dict[str, Any]], key: str) -> list[float]:
    found = (real(epoch.get(key)) for epoch in epochs)
    return [value for value in found if value is not None and value == value]  # noqa: PLR0124 - NaN has no order


def _or(value: float | None, reason: Unavailable) -> float | Unavailable:
    return reason if value is None else value


def _offset(phase: Phase) -> int | Unavailable:
    offset = phase.started.details.get("local_offset_seconds")
    return offset if isinstance(offset, int) else Unavailable(unavailable="was not recorded")


def _total(phase: Phase, epoch_seconds: list[float]) -> float:
    """By the clock that never jumps, where one process wrote beginning and end; else by UTC. Of a phase that another
    process went on with, the epochs alone: between the two, nobody trained."""
    if phase.ended is None:
        return sum(epoch_seconds)
    if phase.resumed:
        return sum(epoch_seconds)
    if phase.ended.part == phase.started.part:
        return phase.ended.monotonic_seconds - phase.started.monotonic_seconds
    return (phase.ended.utc - phase.started.utc).total_seconds()


def _preparation(began: dict[str, Any] | None) -> float | Unavailable:
    if began is None:
        return _NOT_BEGUN
    reason = "Keras calls nobody when fit begins; archiver.fit knows"
    return _or(real(began.get("preparation_seconds")), Unavailable(unavailable=reason))


def _samples(began: dict[str, Any], steps: list[int]) -> int | Unavailable:
    """An epoch over all batches ends with the last one, which may be smaller."""
    if not steps:
        return _NO_STEPS
    batch_size, batches = count(began.get("batch_size")), count(began.get("batch_count"))
    if batch_size is None:
        return _NO_BATCH_SIZE
    missing = batch_size - (count(began.get("last_batch_size")) or batch_size)
    return sum(number * batch_size - (missing if number == batches else 0) for number in steps)


def _speed(number: int | Unavailable, seconds: float | Unavailable) -> float | Unavailable:
    if isinstance(number, Unavailable):
        return number
    if isinstance(seconds, Unavailable):
        return seconds
    return number / seconds if seconds > 0 else Unavailable(unavailable="the steps took no time that can be measured")


def _steps(epochs: list[dict[str, Any]]) -> dict[str, float | Unavailable]:
    first = real(epochs[0].get("first_step_seconds")) if epochs else None
    medians = _column(epochs, "median_step_seconds")
    usual = median(medians) if medians else None
    too_few = Unavailable(unavailable="no epoch with two steps ended") if epochs else _NO_EPOCH
    return {
        "first_step_seconds": _or(first, _NO_STEPS),
        "median_step_seconds": _or(usual, too_few),
        "compile_seconds": too_few if first is None or usual is None else max(0.0, first - usual),
    }


def _sum(phases: list[PhaseTiming]) -> Durations:
    def over(field: str) -> Any:
        return _over(phases, lambda phase: getattr(phase, field))

    def speed(field: str) -> float | Unavailable:
        known = [phase for phase in phases if not isinstance(getattr(phase, field), Unavailable)]
        number, seconds = over(field), _over(known, lambda phase: phase.train_seconds)
        return _speed(number, seconds)

    summed = (
        "preparation_seconds", "collecting_seconds", "train_seconds", "validation_seconds", "other_epoch_seconds",
        "saving_seconds", "step_count", "sample_count",
    )  # fmt: skip
    return Durations(
        total_seconds=sum(phase.total_seconds for phase in phases),
        steps_per_second=speed("step_count"),
        samples_per_second=speed("sample_count"),
        **{field: over(field) for field in summed},
    )


def _over(phases: list[PhaseTiming], field: Callable[[PhaseTiming], Any]) -> Any:
    """The sum over the phases in which it is known; the first reason where it is known in none."""
    values = [field(phase) for phase in phases]
    known = [value for value in values if not isinstance(value, Unavailable)]
    return sum(known) if known else (values or [_NOT_BEGUN])[0]

"""The record of the data: begun beside the training, completed with what passed when the training ends."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable
from typing import Any

from archiver import layout
from archiver.collect.samples import MAXIMAL_SAMPLES
from archiver.collect.splits import DescribedSplit, dataset_stats, role_and_phase, split_name
from archiver.records.base import Json, Unavailable
from archiver.records.dataset import DatasetStats, SplitPart
from archiver.training.background import Job, Task, start
from archiver.training.capture import FitCall
from archiver.training.datasets import Data, describe_split, windows_of
from archiver.training.leaks import leaks
from archiver.training.options import plain
from archiver.training.passing import BatchObserver
from archiver.training.session import Session
from archiver.training.sources import describe_beside

MAXIMAL_KEPT_SAMPLES = 2 * MAXIMAL_SAMPLES
"""Over all splits of a run; 16 bytes of each are kept."""
KERAS_BATCH_SIZE = 32
"""Of arrays, where none is given."""


_WRITING = threading.Lock()
"""Of two threads with news of the data, each writes what both have found."""


def collect_data(session: Session, call: FitCall) -> None:
    """Fingerprints read the arrays in full: beside the training, by a thread that also writes the record."""
    phase, sizes = session.phase, _batch_sizes(call)
    given = _seen_data(call) | session.options.data

    def describe() -> None:
        for role, data in given.items():
            session.splits[split_name(role, phase)] = _describe(session, role, data, sizes.get(role))
        write_dataset_stats(session)

    inputs = {split_name(role, phase): data[0] for role, data in given.items()}
    session.attempt("data sources", lambda: _begin_sources(session, inputs), layout.DATASET_STATS)
    task = Task(describe)
    start(task)
    session.jobs.append(Job("dataset stats", layout.DATASET_STATS, task, lambda _: _complete(session, phase)))


def _begin_sources(session: Session, inputs: dict[str, Any]) -> None:
    """The files behind the data are read beside the training, by a thread that also writes the record."""
    job = describe_beside(session, inputs, lambda: write_dataset_stats(session))
    if job is not None:
        start(job.task)
        session.jobs.append(job)


def described_windows(call: FitCall) -> dict[str, Json]:
    """By role, what data sets of `archiver.data.window_batches` say of themselves."""
    found = {role: windows_of(data[0]) for role, data in _seen_data(call).items()}
    return {role: plain(source.described) for role, source in found.items() if source is not None}


def _seen_data(call: FitCall) -> dict[str, Data]:
    known = call.given | call.resolved
    seen = {
        "train": (known.get("x"), known.get("y"), known.get("sample_weight")),
        "validation": (known.get("val_x"), known.get("val_y"), known.get("val_sample_weight")),
    }
    return {name: data for name, data in seen.items() if data[0] is not None}


def _batch_sizes(call: FitCall) -> dict[str, int | None]:
    """What Keras makes of arrays."""
    resolved = call.resolved
    train = getattr(getattr(call.epoch_iterator, "data_adapter", None), "batch_size", None)
    validation = resolved.get("validation_batch_size") or resolved.get("batch_size")
    if validation is None and resolved and resolved.get("validation_steps") is None:
        validation = KERAS_BATCH_SIZE
    sizes = {"train": train, "validation": validation}
    return {role: size if isinstance(size, int) else None for role, size in sizes.items()}


def _describe(session: Session, role: str, data: Data, batch_size: int | None) -> DescribedSplit:
    earlier = {name: split for name, split in session.splits.items() if role_and_phase(name)[0] == role}
    room = max(0, min(MAXIMAL_SAMPLES, MAXIMAL_KEPT_SAMPLES - _kept_samples(session.splits.values())))
    described = describe_split(*data, batch_size=batch_size, maximal_samples=room, earlier=earlier)
    if described.part.kind in ("arrays", "array_batches"):
        return described
    not_yet = Unavailable(unavailable="the training ended before it was known")
    return dataclasses.replace(described, part=described.part.model_copy(update={"batches": not_yet}))


def _kept_samples(splits: Iterable[DescribedSplit]) -> int:
    own = (split.samples for split in splits if split.part.same_as is None)
    return sum(0 if isinstance(samples, Unavailable) else len(samples.inputs) for samples in own)


def current_stats(session: Session) -> DatasetStats:
    """The record of all splits and sources known so far."""
    earlier = session.earlier_stats
    if earlier is not None and _parts(session.splits) == {name: _text(part) for name, part in earlier.splits.items()}:
        return earlier.model_copy(update={"class_names": session.class_names or earlier.class_names})
    stats = dataset_stats(dict(session.splits), session.class_names, session.options.dataset_source)
    return stats.model_copy(update={"source_files": session.sources.record(stats.class_names)})


def _parts(splits: dict[str, DescribedSplit]) -> dict[str, str]:
    return {name: _text(split.part) for name, split in splits.items()}


def _text(part: SplitPart) -> str:
    # NaN equals nothing, not even itself.
    return part.model_dump_json()


def write_dataset_stats(session: Session) -> DatasetStats:
    """Write that record."""
    with _WRITING:
        stats = current_stats(session)
        session.run.write(layout.DATASET_STATS, stats)
    return stats


def tell_leaks(session: Session, stats: DatasetStats) -> None:
    """Tell the user, once, of samples that stand in two splits."""
    for key, message in leaks(stats):
        session.advise(key, message)


def _complete(session: Session, phase: int) -> None:
    """The training has ended: add what passed."""
    observers = session.passing.observers
    for role in ("train", "validation"):
        name = split_name(role, phase)
        split = session.splits.get(name)
        if split is not None:
            part = _with_batches(session, split.part, observers.get(role))
            session.splits[name] = dataclasses.replace(split, part=part)
    session.passing.observers.clear()
    tell_leaks(session, write_dataset_stats(session))


def _with_batches(session: Session, part: SplitPart, seen: BatchObserver | Unavailable | None) -> SplitPart:
    if seen is None:
        nothing = Unavailable(unavailable="no batch was drawn, or fit could not be looked into")
        return part.model_copy(update={"batches": nothing}) if part.batches is not None else part
    update: dict[str, Any] = {"batches": seen}
    if isinstance(seen, BatchObserver):
        if seen.error is not None:
            session.note_failure("batches", seen.error, layout.DATASET_STATS)
        update["batches"] = seen.part()
        count = seen.samples_in_a_pass(part.batch_count) if part.kind == "pydataset" else None
        if count is not None:
            update["sample_count"] = count
    return part.model_copy(update=update)

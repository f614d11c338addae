"""A run in a few lines of text."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from archiver import layout
from archiver.archive.outcome import build_history, build_results
from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.layout import RecordFile
from archiver.records.base import Unavailable
from archiver.records.dataset import DatasetStats
from archiver.records.environment import GitRecord, SystemRecord
from archiver.records.model import ModelConfig
from archiver.records.results import Results
from archiver.records.run import RunRecord
from archiver.records.training import History, TrainConfig
from archiver.storage.journal import events_named

_BARS = "\N{LOWER ONE EIGHTH BLOCK}▂▃▄▅▆▇█"

Rows = Iterator[tuple[str, str]]


def summary_rows(run: Run) -> Rows:
    """`(what, text)` in the order in which a reader asks; control characters are replaced."""
    rows: list[tuple[str, str]] = [("run", run.name), ("status", run.status.describe())]
    seal_id = run.seal_id
    rows.append(("seal id", seal_id or "none: not sealed"))
    rows += _published(run)
    sections: tuple[tuple[RecordFile[Any], Callable[[Any], Rows]], ...] = (
        (layout.RUN, _of_run),
        (layout.DATASET_STATS, _of_data),
        (layout.MODEL_CONFIG, _of_model),
        (layout.TRAIN_CONFIG, _of_training),
        (layout.SYSTEM, _of_system),
        (layout.GIT, _of_git),
    )
    curves = _section(run, layout.HISTORY, _of_history)
    rows += [row for row in _results(run) if not curves or row[0] != "last epoch"]  # the curves end in these values
    rows += curves
    for file, describe in sections:
        rows += _section(run, file, describe)
    rows.append(("report", str(run.path_of(layout.README_HTML)) if run.has(layout.README_HTML) else "none yet"))
    return ((key, _printable(text)) for key, text in rows)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _section(run: Run, file: RecordFile[Any], describe: Callable[[Any], Rows]) -> list[tuple[str, str]]:
    try:
        record = run.read_if_there(file)
    except ArchiverError as error:
        return [(file.record.KIND, f"cannot be read: {str(error).splitlines()[0]}")]
    return list(describe(record)) if record is not None else []


def _published(run: Run) -> Rows:
    """Of a public copy: what it was made from, and what it lacks."""
    with contextlib.suppress(ArchiverError):
        for event in events_named(run.journal.read(), "published"):
            left_out = event.details.get("left_out")
            names = ", ".join(map(str, left_out)) if isinstance(left_out, list) else "?"
            yield "public copy", f"of {event.details.get('original_seal_id')}, without {names}"


def _results(run: Run) -> list[tuple[str, str]]:
    """From the record, or, as long as there is none, from the journal: of a run that still trains, or was killed."""
    if run.has(layout.RESULTS) and run.seal_id is not None:
        return _section(run, layout.RESULTS, _of_results)
    try:
        contents = run.journal.read()
        results = build_results(run, contents, build_history(contents), Unavailable(unavailable="not evaluated"))
    except (ArchiverError, ValueError, LookupError, TypeError):
        return []
    return list(_of_results(results))


def _of_run(record: RunRecord) -> Rows:
    yield "began", f"{record.created:%Y-%m-%d %H:%M:%S} UTC, on {record.process.host}"
    if record.group:
        yield "group", record.group
    if record.tags:
        yield "tags", ", ".join(record.tags)


def _of_results(record: Results) -> Rows:
    phases = "" if record.phase_count == 1 else f", {counted(record.phase_count, 'phase')}"
    yield "trained", f"{counted(record.epoch_count, 'epoch')} in {record.training_seconds:.1f} s{phases}"
    yield from _speed(record)
    if not isinstance(record.test, Unavailable):
        yield "test", _metrics(record.test.metrics)
    if record.final_metrics:
        yield "last epoch", _metrics(record.final_metrics)
    if not isinstance(record.best_epoch, Unavailable):
        best = record.best_epoch
        where = best.file or "models/ (the final weights)"
        phase = "" if record.phase_count == 1 else f" of phase {best.phase + 1}"
        text = f"the {best.epoch + 1}.{phase}: {best.monitor} {best.value:.4g}, weights in {where}"
        yield "best epoch", text
    if record.exception:
        message = f": {record.exception.message}" if record.exception.message else ""
        yield "exception", f"{record.exception.type}{message}"
    if record.logged:
        yield "logged", ", ".join(f"{name} {value}" for name, value in record.logged.items())


def _of_history(record: History) -> Rows:
    names = list(dict.fromkeys(name for phase in record.phases for name in phase.metrics))
    for name in sorted(names, key=lambda each: (each.removeprefix("val_") != "loss", each.removeprefix("val_")))[:4]:
        values = [value for phase in record.phases for value in phase.metrics.get(name, ())]
        finite = [value for value in values if value is not None and math.isfinite(value)]
        if len(finite) > 1:
            yield name, f"{sparkline(values)} {finite[0]:.4g} to {finite[-1]:.4g}"


def sparkline(values: Sequence[float | None], width: int = 32) -> str:
    """A curve in one line of text: a bar per value, or per group of values where there are more than `width`.

    The lowest bar is the least value, the highest the greatest; a blank is no value, or one that is not finite.
    """
    size = max(1, -(-len(values) // width))
    groups = [values[start : start + size] for start in range(0, len(values), size)]
    means = [_mean(group) for group in groups]
    known = [mean for mean in means if mean is not None]
    low, span = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)
    return "".join(" " if mean is None else _BARS[round((mean - low) / (span or 1) * 7)] for mean in means)


def _mean(values: Sequence[float | None]) -> float | None:
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None


def _speed(record: Results) -> Rows:
    durations = record.timing.whole_run
    if isinstance(durations.steps_per_second, Unavailable):
        return
    samples = durations.samples_per_second
    text = "" if isinstance(samples, Unavailable) else f", {samples:,.4g} samples"
    yield "speed", f"{durations.steps_per_second:,.4g} steps{text} a second"


def counted(count: int, noun: str) -> str:
    """`1 epoch`, `2 epochs`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _metrics(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())


def _of_data(record: DatasetStats) -> Rows:
    parts = []
    for name, split in record.splits.items():
        count = "?" if isinstance(split.sample_count, Unavailable) else f"{split.sample_count:,}"
        parts.append(f"{name} {count} ({split.kind})")
    yield "data", ", ".join(parts)


def _of_model(record: ModelConfig) -> Rows:
    count = "" if isinstance(record.parameters, Unavailable) else f", {record.parameters.total:,} parameters"
    kind = record.class_name.rsplit(".", 1)[-1]
    yield "model", f"{record.name}: {kind}{count}, {counted(len(record.layers), 'layer')}"


def _of_training(record: TrainConfig) -> Rows:
    for phase in record.phases:
        seed = "not seeded by archiver" if isinstance(phase.seed, Unavailable) else f"seed {phase.seed.seed}"
        unknown_size = isinstance(phase.batch_size, Unavailable)
        batch = "batches as the data set has them" if unknown_size else f"batch size {phase.batch_size}"
        epochs = "?" if isinstance(phase.epochs, Unavailable) else phase.epochs
        yield f"phase {phase.phase + 1}", f"{batch}, up to {epochs} epochs, {seed}"


def _of_system(record: SystemRecord) -> Rows:
    python = record.python.version.split()[0]
    yield "machine", f"{record.operating_system.system} {record.machine.architecture}, Python {python}"


def _of_git(record: GitRecord) -> Rows:
    repository = record.repository
    if isinstance(repository, Unavailable):
        yield (
            "git",
            "not in a repository" if "not a git repository" in repository.unavailable else repository.unavailable,
        )
    elif isinstance(repository.commit, Unavailable):
        yield "git", repository.commit.unavailable
    else:
        yield "git", f"commit {repository.commit.hash}"

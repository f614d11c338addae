"""What MLflow keeps of a run, as plain values within its limits. No MLflow in here."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from archiver import layout
from archiver.archive.run import Run
from archiver.export.output import folder_name
from archiver.records.base import Unavailable
from archiver.records.environment import GitRecord
from archiver.records.results import Results, TestResults
from archiver.records.training import OptimizerConfig, TrainConfig
from archiver.storage.journal import JournalContents, events_named

MAXIMAL_KEY_CHARACTERS = 250
MAXIMAL_PARAMETER_CHARACTERS = 6000
MAXIMAL_TAG_CHARACTERS = 5000
"""MLflow's limits; a key is also part of a path in some stores."""

MAXIMAL_WHOLE_NUMBER = 10**300

_REFUSED = re.compile(r"[^A-Za-z0-9_.\- /]")


@dataclass(frozen=True)
class Value:
    """One point of a metric."""

    name: str
    value: float
    timestamp_ms: int
    """Since 1970, UTC."""
    step: int
    """Epochs before it, over all calls of `fit`."""


def milliseconds(moment: datetime) -> int:
    """Since 1970, UTC, as MLflow counts time."""
    return int(moment.timestamp() * 1000)


def key(text: str) -> str:
    """`text` as the name of a parameter, metric or tag: characters and lengths that every store takes."""
    name = _REFUSED.sub("_", text) or "_"
    if posixpath.normpath(name) != name or name.startswith(("/", "..")) or name == ".":
        name = "_" + name.replace("/", "_")
    if len(name) > MAXIMAL_KEY_CHARACTERS:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        name = f"{name[: MAXIMAL_KEY_CHARACTERS - 9]}-{digest}"
    return name


def shortened(text: str, limit: int) -> str:
    """`text`, cut where it is too long; the archive has it whole."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def parameters(run: Run) -> dict[str, str]:
    """The configuration of training and optimizer, flattened: `batch_size`, `optimizer.config.learning_rate`.

    Of several calls of `fit`, the first goes without a number, the others begin with `phase_1.`, `phase_2.`, ... What
    was not known is left out.
    """
    found: dict[str, str] = {}
    for name, text in (
        *_of_phases("", run.read_if_there(layout.TRAIN_CONFIG)),
        *_of_phases("optimizer.", run.read_if_there(layout.OPTIMIZER_CONFIG)),
        *_logged_texts(run.read(layout.RESULTS)),
    ):
        if text:
            found.setdefault(key(name), shortened(text, MAXIMAL_PARAMETER_CHARACTERS))
    return found


def _of_phases(group: str, record: TrainConfig | OptimizerConfig | None) -> Iterator[tuple[str, str]]:
    for phase in record.phases if record is not None else ():
        prefix = f"phase_{phase.phase}." if phase.phase else ""
        yield from _flat(prefix + group, phase.model_dump(mode="json", exclude={"phase"}))


def _logged_texts(results: Results) -> Iterator[tuple[str, str]]:
    for name, value in results.logged.items():
        if not _is_number(value):
            yield f"logged.{name}", _text(value)


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Leaves by dotted name; lists of plain values are one leaf."""
    if isinstance(value, dict):
        if value.keys() == {"unavailable"}:
            return
        for name, item in value.items():
            if isinstance(item, dict) and item:
                yield from _flat(f"{prefix}{name}.", item)
            else:
                yield from _flat(prefix + name, item)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for position, item in enumerate(value):
            yield from _flat(f"{prefix}.{position}" + ("." if isinstance(item, dict) else ""), item)
    elif value is not None:
        yield prefix, _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def epoch_metrics(run: Run) -> Iterator[Value]:
    """Every metric of every epoch, its learning rate and duration, when the epoch ended."""
    history = run.read_if_there(layout.HISTORY)
    ends = _epoch_ends(run.journal.read())
    done = 0
    for phase in history.phases if history is not None else ():
        columns = {**phase.metrics, "learning_rate": phase.learning_rates, "epoch_seconds": phase.epoch_seconds}
        for position, epoch in enumerate(phase.epochs):
            ended = ends.get((phase.phase, epoch), phase.ended or phase.started)
            for name, values in columns.items():
                value = values[position]
                if value is not None:
                    yield Value(key(name), value, milliseconds(ended), done + position)
        done += len(phase.epochs)


def _epoch_ends(journal: JournalContents) -> dict[tuple[Any, Any], datetime]:
    """By phase and epoch; of one that was repeated after a crash, the last time."""
    events = events_named(journal, "epoch_ended")
    return {(event.details.get("phase"), event.details.get("epoch")): event.utc for event in events}


def final_metrics(run: Run) -> Iterator[Value]:
    """What there is one number of: results on test data, logged numbers, peaks of memory, the time it took."""
    results = run.read(layout.RESULTS)
    step = max(0, results.epoch_count - 1)
    if isinstance(results.test, TestResults):
        moment = milliseconds(results.test.evaluated)
        for name, value in _test_values(results.test).items():
            yield Value(key(name), value, moment, step)
    for event in events_named(run.journal.read(), "logged"):
        logged: Any = event.details.get("value")
        if _is_number(logged):
            yield Value(key(str(event.details.get("name"))), float(logged), milliseconds(event.utc), step)
    for name, value in _totals(results).items():
        yield Value(name, value, milliseconds(results.ended), step)


def _test_values(test: TestResults) -> dict[str, float]:
    """Keras' metrics and the scores, as `test_...`; of several outputs, `test_<output>_...`."""
    values = {f"test_{name}": value for name, value in test.metrics.items()}
    scores = {} if isinstance(test.scores, Unavailable) else test.scores
    for output, score in scores.items():
        if not isinstance(score, Unavailable):
            prefix = "test_" if len(scores) == 1 else f"test_{output}_"
            for name, value in score.values.items():
                if isinstance(value, float):
                    values.setdefault(f"{prefix}{name}", value)
    return values


def _totals(results: Results) -> dict[str, float]:
    found: dict[str, Any] = {"training_seconds": results.training_seconds, "epoch_count": results.epoch_count}
    if not isinstance(results.peaks, Unavailable):
        found |= {"peak_rss_bytes": results.peaks.rss_bytes, "peak_gpu_bytes": results.peaks.gpu_bytes}
    return {name: float(value) for name, value in found.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    """Whether a float64 can be made of it; NaN and infinities count, MLflow takes them."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) < MAXIMAL_WHOLE_NUMBER


def tags(run: Run) -> dict[str, str]:
    """What tells where the run came from; those of MLflow's own names are shown by its pages."""
    record, results = run.read(layout.RUN), run.read(layout.RESULTS)
    found: dict[str, str | None] = {
        "mlflow.note.content": _note(run),
        "mlflow.source.type": "LOCAL",
        "archiver.name": run.name,
        "archiver.version": record.archiver_version,
        "archiver.status": results.status,
        "archiver.stop_reason": results.stop_reason,
        "archiver.exception": f"{results.exception.type}: {results.exception.message}" if results.exception else None,
        "archiver.host": record.process.host,
        "archiver.parents": ", ".join(parent.run for parent in results.parents),
        "archiver.group": record.group,
        "archiver.tags": ", ".join(record.tags),
        "archiver.weights_digest": results.weights_digest if isinstance(results.weights_digest, str) else None,
    }
    if not isinstance(record.command, Unavailable):
        found["mlflow.source.name"] = record.command.target
    found |= _git_tags(run.read_if_there(layout.GIT))
    return {name: shortened(text, MAXIMAL_TAG_CHARACTERS) for name, text in found.items() if text}


def _git_tags(git: GitRecord | None) -> Mapping[str, str | None]:
    if git is None or isinstance(git.repository, Unavailable):
        return {}
    repository = git.repository
    commit = None if isinstance(repository.commit, Unavailable) else repository.commit.hash
    branch = repository.branch if isinstance(repository.branch, str) else None
    dirty = None if isinstance(repository.dirty, Unavailable) else json.dumps(repository.dirty)
    return {"mlflow.source.git.commit": commit, "mlflow.source.git.branch": branch, "archiver.git_dirty": dirty}


def _note(run: Run) -> str:
    return (
        f"Archive {folder_name(run)} of keras-archiver, seal id {run.seal_id}. Every detail is in the archive; "
        "`archiver verify` tells whether a copy of it is whole."
    )

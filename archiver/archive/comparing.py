"""What changed from one run to another: the facts of both, side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from archiver import layout
from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.layout import RecordFile
from archiver.records.base import Unavailable
from archiver.records.dataset import DatasetStats
from archiver.records.environment import GitRecord, PackagesRecord
from archiver.records.model import ModelConfig
from archiver.records.results import Results
from archiver.records.run import RunRecord
from archiver.records.source import SourceRecord
from archiver.records.training import OptimizerConfig, Preprocessing, TrainConfig
from archiver.storage.digests import sha256_of

Facts = Iterator[tuple[str, Any]]
DIGEST_LENGTH = 12
_FIT = (
    "batch_size", "epochs", "steps_per_epoch", "shuffle", "class_weight", "loss", "loss_weights", "metrics",
    "weighted_metrics", "run_eagerly", "steps_per_execution",
)  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One fact that differs; None: the run does not have it."""

    subject: str
    before: Any
    after: Any

    @property
    def text(self) -> str:
        """Such as `learning_rate: 0.01, now 0.001`."""
        before, after = value_text(self.before), value_text(self.after)
        if self.before is None:
            return f"{self.subject}: new, {after}"
        return f"{self.subject}: {before}, now {after if self.after is not None else 'gone'}"


def value_text(value: Any) -> str:
    """A value for a reader, on one line."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | dict):
        return _text(value)
    return "none" if value is None else str(value)


def changes_between(before: Run, after: Run) -> list[Change]:
    """What was done differently: data, model, training, code, packages, machine. What came out is not in it.

    Records that cannot be read are left out of the comparison.
    """
    found: list[Change] = []
    for file, facts in _SUBJECTS:
        found += _compared(_facts(before, file, facts), _facts(after, file, facts))
    return found


def results_between(before: Run, after: Run) -> list[Change]:
    """The metrics of both: those on test data where both have them, else the last values."""
    old, new = _facts(before, layout.RESULTS, _of_test), _facts(after, layout.RESULTS, _of_test)
    if not old or not new:
        old, new = _facts(before, layout.RESULTS, _of_results) or {}, _facts(after, layout.RESULTS, _of_results) or {}
    return [Change(name, old[name], new[name]) for name in old if name in new]


def _facts(run: Run, file: RecordFile[Any], facts: Callable[[Any], Facts]) -> dict[str, Any] | None:
    try:
        record = run.read_if_there(file)
    except ArchiverError:
        return None
    return dict(facts(record)) if record is not None else None


def _compared(before: dict[str, Any] | None, after: dict[str, Any] | None) -> Iterator[Change]:
    if before is None or after is None:
        return
    for subject in dict.fromkeys((*before, *after)):
        old, new = before.get(subject), after.get(subject)
        if _text(_plain(old)) != _text(_plain(new)):  # as texts: NaN equals nothing
            yield Change(subject, _plain(old), _plain(new))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _plain(value: Any) -> Any:
    return None if isinstance(value, Unavailable) else value


def _flat(prefix: str, value: Any) -> Facts:
    """The leaves of plain JSON, by the names that lead to them."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), item)
    else:
        yield prefix, value


def _of_training(record: TrainConfig) -> Facts:
    if not record.phases:
        return
    phase = record.phases[-1]
    yield "phases", len(record.phases)
    yield from ((name, getattr(phase, name)) for name in _FIT)
    if not isinstance(phase.validation, Unavailable):
        yield from _flat("validation", phase.validation.model_dump(mode="json"))
    yield "seed", None if isinstance(phase.seed, Unavailable) else phase.seed.seed
    yield "dtype policy", phase.dtype_policies.model
    yield "XLA", phase.jit_compile.resolved
    yield "callbacks", [each.class_name for each in phase.callbacks]
    yield from _flat("hyperparameters", phase.hyperparameters)


def _of_optimizer(record: OptimizerConfig) -> Facts:
    if record.phases:
        phase = record.phases[-1]
        yield "optimizer", phase.class_name
        config = phase.config if isinstance(phase.config, dict) else {}
        yield from _flat("optimizer", {key: value for key, value in config.items() if key != "name"})


def _of_model(record: ModelConfig) -> Facts:
    parameters = record.parameters
    yield "parameters", None if isinstance(parameters, Unavailable) else parameters.total
    # Keras numbers the names of layers within a process: they are compared by place.
    for place, layer in enumerate(record.layers, start=1):
        config = layer.config if isinstance(layer.config, dict) else {}
        yield f"layer {place}", layer.class_name.rsplit(".", 1)[-1]
        plain = {key: value for key, value in config.items() if key not in ("name", "module", "registered_name")}
        yield from _flat(f"layer {place}", {key: value for key, value in plain.items() if not isinstance(value, dict)})


def _of_data(record: DatasetStats) -> Facts:
    for name, split in record.splits.items():
        yield f"{name} samples", split.sample_count
        fingerprint = split.samples_fingerprint
        yield f"{name} data", None if isinstance(fingerprint, Unavailable) else fingerprint[:DIGEST_LENGTH]


def _of_preprocessing(record: Preprocessing) -> Facts:
    yield from _flat("preprocessing", record.description)
    for layer in record.layers:
        yield f"preprocessing layer {layer.class_name}", _digest(layer.config)


def _of_source(record: SourceRecord) -> Facts:
    for file in record.files:
        yield f"source {file.original_path}", file.sha256[:DIGEST_LENGTH]


def _of_git(record: GitRecord) -> Facts:
    repository = record.repository
    if not isinstance(repository, Unavailable):
        commit = repository.commit
        yield "git commit", None if isinstance(commit, Unavailable) else commit.hash[:DIGEST_LENGTH]
        patch = None if isinstance(repository.patch, Unavailable) else repository.patch
        if patch is not None and not isinstance(patch.sha256, Unavailable):
            yield "uncommitted changes", patch.sha256[:DIGEST_LENGTH] if patch.size_bytes else "none"


def _of_packages(record: PackagesRecord) -> Facts:
    for name, package in record.packages.items():
        yield f"package {name}", package.version


def _of_run(record: RunRecord) -> Facts:
    yield "host", record.process.host
    yield "archiver", record.archiver_version
    if not isinstance(record.command, Unavailable):
        yield "arguments", " ".join(record.command.arguments)


def _of_test(record: Results) -> Facts:
    if not isinstance(record.test, Unavailable):
        yield from ((f"test {name}", value) for name, value in record.test.metrics.items())


def _of_results(record: Results) -> Facts:
    yield from record.final_metrics.items()


def _digest(value: Any) -> str:
    return sha256_of(_text(value).encode())[:DIGEST_LENGTH]


_SUBJECTS: tuple[tuple[RecordFile[Any], Callable[[Any], Facts]], ...] = (
    (layout.DATASET_STATS, _of_data),
    (layout.PREPROCESSING, _of_preprocessing),
    (layout.MODEL_CONFIG, _of_model),
    (layout.OPTIMIZER_CONFIG, _of_optimizer),
    (layout.TRAIN_CONFIG, _of_training),
    (layout.SOURCE, _of_source),
    (layout.GIT, _of_git),
    (layout.PACKAGES, _of_packages),
    (layout.RUN, _of_run),
)

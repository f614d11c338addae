"""THE table: every file of an archive, the class of its record, when it must be there, and who writes it.

The writer, `verify`, the README's inventory, the JSON Schemas and the documentation all go by this table.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from archiver.records.base import Record
from archiver.records.dataset import DatasetStats
from archiver.records.environment import GitRecord, PackagesRecord, SystemRecord
from archiver.records.manifest import Metadata
from archiver.records.model import ModelConfig, WeightsTable
from archiver.records.reproduction import ReproductionRecord
from archiver.records.results import Results
from archiver.records.run import RunRecord
from archiver.records.scores import TestScores
from archiver.records.source import SourceRecord
from archiver.records.telemetry import Telemetry
from archiver.records.training import CheckpointState, History, OptimizerConfig, Preprocessing, TrainConfig
from archiver.records.workers import WorkersRecord

Need = Literal["always", "complete", "sealed", "optional"]
"""When a file must be there: from the claim of the name on, once a training is complete, once the archive is sealed, or
not at all. A file whose writing failed is excused by the journal's `step_failed` event that names it."""

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class ArchiveFile:
    """A file, or with `*` in its pattern a family of files."""

    pattern: str
    """Path in the archive; `{name}` stands for the run's name."""
    description: str
    need: Need
    writer: str
    """The module that writes it."""

    def path(self, name: str) -> str:
        """The path in the archive of the run `name`."""
        return self.pattern.format(name=name)

    def matches(self, path: str, name: str) -> bool:
        """Whether `path` is this file of the run `name`; `*` covers sub-folders too."""
        prefix, star, suffix = self.pattern.partition("*")
        prefix, suffix = prefix.format(name=name), suffix.format(name=name)
        if not star:
            return path == prefix
        return len(path) > len(prefix) + len(suffix) and path.startswith(prefix) and path.endswith(suffix)


@dataclass(frozen=True)
class RecordFile(ArchiveFile, Generic[R]):
    """A file that holds one record."""

    record: type[R]


RUN = RecordFile("configs/{name}_run.json", "what the run is", "always", "training.collecting", RunRecord)
MODEL_CONFIG = RecordFile(
    "configs/{name}_model_config.json", "architecture of the model", "complete", "training.collecting", ModelConfig
)
TRAIN_CONFIG = RecordFile(
    "configs/{name}_train_config.json", "configuration of the training", "complete", "training.collecting", TrainConfig
)
OPTIMIZER_CONFIG = RecordFile(
    "configs/{name}_optimizer_config.json", "optimizer", "complete", "training.collecting", OptimizerConfig
)
PREPROCESSING = RecordFile(
    "configs/{name}_preprocessing.json", "preprocessing of the data", "complete", "training.collecting", Preprocessing
)
RESULTS = RecordFile("results/{name}_results.json", "results", "complete", "closing", Results)
HISTORY = RecordFile("results/{name}_history.json", "metrics of every epoch", "complete", "closing", History)
DATASET_STATS = RecordFile(
    "results/{name}_dataset_stats.json", "the data", "complete", "training.collecting", DatasetStats
)
TEST_SCORES = RecordFile(
    "results/{name}_test_scores.json", "tables of the scores on the test data", "optional", "training.evaluation",
    TestScores,
)  # fmt: skip
TELEMETRY = RecordFile(
    "results/{name}_telemetry.json", "use of memory, processors and GPUs", "complete", "training.telemetry", Telemetry
)
METADATA = RecordFile("results/{name}_metadata.json", "every file with its MD5", "sealed", "sealing", Metadata)
WEIGHTS = RecordFile(
    "models/{name}_weights.json", "table of the weights with digests", "complete", "training.models", WeightsTable
)
SYSTEM = RecordFile("environment/system.json", "machine and Python", "complete", "training.collecting", SystemRecord)
PACKAGES = RecordFile(
    "environment/packages.json", "installed packages", "complete", "training.collecting", PackagesRecord
)
GIT = RecordFile("environment/git.json", "state of the repository", "complete", "training.collecting", GitRecord)
SOURCE = RecordFile("environment/source.json", "source that ran", "complete", "training.collecting", SourceRecord)
CHECKPOINT_STATE = RecordFile(
    "models/{name}_checkpoint/state.json",
    "checkpoint: plain values",
    "optional",
    "training.checkpoints",
    CheckpointState,
)
REPRODUCTION = RecordFile(
    "results/{name}_reproduction.json",
    "the run that this one repeats, and the verdict",
    "optional",
    "reproduction",
    ReproductionRecord,
)
WORKERS = RecordFile(
    "results/{name}_workers.json",
    "the processes that trained together",
    "optional",
    "training.gathering",
    WorkersRecord,
)

KERAS_MODEL = ArchiveFile("models/{name}.keras", "the model, Keras 3 format", "optional", "training.models")
H5_MODEL = ArchiveFile("models/{name}.h5", "the model, legacy HDF5 format", "optional", "training.models")
WEIGHTS_H5 = ArchiveFile("models/{name}.weights.h5", "the weights alone", "optional", "training.models")
BEST_WEIGHTS = ArchiveFile(
    "models/{name}_best.weights.h5", "the weights of the best epoch", "optional", "training.best"
)
CHECKPOINT_VARIABLES = ArchiveFile(
    "models/{name}_checkpoint/variables.npz", "checkpoint: arrays", "optional", "training.checkpoints"
)
SNAPSHOTS = ArchiveFile(
    "models/{name}_checkpoint/snapshot-*",
    "what a training that was cut off goes on from",
    "optional",
    "training.snapshots",
)
PREDICTIONS = ArchiveFile(
    "results/{name}_predictions.npz",
    "predictions on the test data, and their targets",
    "optional",
    "training.evaluation",
)
PATCH = ArchiveFile(
    "environment/uncommitted.patch", "uncommitted changes of the repository", "optional", "training.collecting"
)
SUBMODULES_PATCH = ArchiveFile(
    "environment/submodules.patch", "uncommitted changes inside of submodules", "optional", "training.collecting"
)
SOURCE_FILES = ArchiveFile("environment/source/*", "source file", "optional", "training.collecting")
STEPS = ArchiveFile("traces/steps.csv", "time and running mean of the loss, step by step", "optional", "training.steps")
ADDED_FILES = ArchiveFile("files/*", "added with add_file", "optional", "training.session")
SCHEMAS = ArchiveFile("schemas/*.schema.json", "JSON Schema of the records", "sealed", "sealing")
JOURNAL = ArchiveFile("journal.jsonl", "journal of events", "always", "storage.journal")
README = ArchiveFile("README.md", "the report", "sealed", "report.readme")
MANIFEST_MD5 = ArchiveFile("manifest-md5.txt", "MD5 of every file", "sealed", "sealing")
MANIFEST_SHA256 = ArchiveFile("manifest-sha256.txt", "SHA-256 of every file", "sealed", "sealing")
MANIFEST_BLAKE3 = ArchiveFile("manifest-blake3.txt", "BLAKE3 of every file: the seal", "sealed", "sealing")
PREVIOUS_SEAL = ArchiveFile("manifest-blake3.previous", "the seal before this one", "optional", "sealing")
FIGURES = ArchiveFile("figures/*.svg", "figure", "optional", "report")
README_HTML = ArchiveFile("README.html", "the report as one page", "optional", "report")
CRATE = ArchiveFile("ro-crate-metadata.json", "the archive as an RO-Crate", "optional", "report.crate")
MEMORY_TRACE = ArchiveFile(
    "traces/memory.csv", "memory of process, machine, container and GPUs over time", "optional", "sampling.recorder"
)
UTILISATION_TRACE = ArchiveFile(
    "traces/utilisation.csv", "CPU, GPU, disk and network use over time", "optional", "sampling.recorder"
)
TEMPERATURE_TRACE = ArchiveFile("traces/temperature.csv", "temperatures over time", "optional", "sampling.recorder")
TRACES = ArchiveFile("traces/*.csv", "time series", "optional", "sampling")
SIGNATURE = ArchiveFile("model.sig", "signature over the seal; in no manifest", "optional", "archive.signing")
"""Made after the seal, so that no manifest lists it; removed when the seal is opened."""
LOCK = ArchiveFile("environment/pylock.toml", "lock of the environment", "optional", "reproduction")

WORKER_EVENTS = ArchiveFile(
    "workers/*/events.jsonl", "journal of a process that trained along", "optional", "training.worker_files"
)
WORKER_SYSTEM = ArchiveFile(
    "workers/*/system.json", "machine of a process that trained along", "optional", "training.worker_files"
)
WORKER_TRACES = ArchiveFile(
    "workers/*.csv", "time series of a process that trained along", "optional", "sampling.recorder"
)

RECORD_FILES: tuple[RecordFile[Any], ...] = (
    RUN, MODEL_CONFIG, TRAIN_CONFIG, OPTIMIZER_CONFIG, PREPROCESSING, RESULTS, HISTORY, DATASET_STATS, METADATA,
    WEIGHTS, SYSTEM, PACKAGES, GIT, SOURCE, CHECKPOINT_STATE, TEST_SCORES, TELEMETRY,
    REPRODUCTION, WORKERS,
)  # fmt: skip

OTHER_FILES = (
    KERAS_MODEL, H5_MODEL, WEIGHTS_H5, BEST_WEIGHTS, CHECKPOINT_VARIABLES, SNAPSHOTS, PREDICTIONS, PATCH,
    SUBMODULES_PATCH, SOURCE_FILES, STEPS, ADDED_FILES, SCHEMAS, JOURNAL, README, MANIFEST_MD5, MANIFEST_SHA256,
    MANIFEST_BLAKE3, PREVIOUS_SEAL, FIGURES, README_HTML, CRATE, MEMORY_TRACE, UTILISATION_TRACE, TEMPERATURE_TRACE,
    TRACES, LOCK, SIGNATURE, WORKER_EVENTS, WORKER_SYSTEM, WORKER_TRACES,
)  # fmt: skip

_FAMILIES = tuple(entry for entry in (*RECORD_FILES, *OTHER_FILES) if "*" in entry.pattern)

MODEL_FORMATS = {"keras": KERAS_MODEL, "h5": H5_MODEL, "weights.h5": WEIGHTS_H5}


def all_files() -> Iterator[ArchiveFile]:
    """Every entry of the table."""
    yield from RECORD_FILES
    yield from OTHER_FILES


def entry_for(path: str, name: str) -> ArchiveFile | None:
    """The entry that `path` belongs to, the exact ones first; None where the table knows no such file."""
    return _exact(name).get(path) or next((entry for entry in _FAMILIES if entry.matches(path, name)), None)


@functools.lru_cache(maxsize=16)
def _exact(name: str) -> dict[str, ArchiveFile]:
    """By path: the entries that are one file; the list is asked for every file of an archive, several times."""
    return {entry.path(name): entry for entry in all_files() if "*" not in entry.pattern}


def schema_file(kind: str) -> str:
    """File name of the JSON Schema of a kind of record."""
    return f"{kind}.schema.json"


def schema_reference(path: str, kind: str) -> str:
    """The `$schema` of a record at `path` in the archive: relative, so that an archive explains itself."""
    return "../" * path.count("/") + f"schemas/{schema_file(kind)}"

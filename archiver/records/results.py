"""What came out of a run."""

from typing import ClassVar, Literal

from pydantic import Field

from archiver.records.base import Count, Json, Part, Real, Record, Sha256, Unavailable, UtcTime
from archiver.records.journal import ExceptionPart, RunStatus, StopReason
from archiver.records.lineage import ParentPart
from archiver.records.performance import Convergence, MetricPerformance
from archiver.records.scores import HeadlineScores
from archiver.records.timing import Timing


class BestEpoch(Part):
    """The epoch with the best value of the monitored metric."""

    monitor: str
    mode: Literal["min", "max"]
    phase: Count
    epoch: Count
    value: Real
    weights_digest: Sha256 | Unavailable
    file: str | None
    """Where its weights are; null when they are the final ones."""


class TestArrayPart(Part):
    """Targets or sample weights of the test data, as they were given."""

    __test__ = False

    array: str
    """Name in the file of predictions."""
    shape: tuple[int, ...]
    dtype: str
    sha256: Sha256
    """Of all of it, little-endian, C order."""


class PredictionsPart(Part):
    """The predictions of one output on the test data."""

    output: str
    """Name in the file of predictions: `output`, or with the key or position as in `output/kind`, `output/0`."""
    name: str
    """Keras' name of the output."""
    shape: tuple[int, ...]
    dtype: str
    sha256: Sha256
    """Of all of them, little-endian, C order."""
    stored_count: Count
    """How many samples' predictions are in the file, from the first on; also of the targets and weights."""
    target: TestArrayPart | Unavailable
    sample_weight: TestArrayPart | Unavailable


class TestResults(Part):
    """How the model did on data it had not seen."""

    __test__ = False

    evaluated: UtcTime
    weights_digest: Sha256
    """Of the weights that were evaluated."""
    sample_count: Count | Unavailable
    metrics: dict[str, Real]
    """Loss and metrics as compiled, from `model.evaluate`."""
    scores: dict[str, HeadlineScores | Unavailable] | Unavailable
    """By Keras' name of the output; computed from the predictions."""
    scores_file: str | None = None
    """The tables behind the scores."""
    predictions: tuple[PredictionsPart, ...] | Unavailable
    """A data set is read once for them and their targets, and once more for the metrics."""
    predictions_file: str | None = None


class Peaks(Part):
    """The extremes of the telemetry, which has the rest."""

    rss_bytes: Count | Unavailable
    """The largest resident memory of the process."""
    gpu_bytes: Real | None
    """The largest memory used on one GPU; null: not measured, as below."""
    cpu_celsius: Real | None
    gpu_celsius: Real | None
    memory_alert_count: Count
    """How often memory passed a limit of the guard."""
    cooling_seconds: Real | None
    """All cooling breaks together; null: no temperature was watched."""


class Results(Record):
    """`results/<name>_results.json`."""

    KIND: ClassVar[str] = "results"
    kind: Literal["results"] = "results"
    status: RunStatus
    stop_reason: StopReason | None
    exception: ExceptionPart | None
    started: UtcTime
    ended: UtcTime
    training_seconds: Real
    """Sum over the phases: `timing` says of what."""
    phase_count: Count
    epoch_count: Count
    """Epochs done, over all phases."""
    final_metrics: dict[str, Real]
    """The last value of each metric."""
    best_epoch: BestEpoch | Unavailable
    weights_digest: Sha256 | Unavailable
    """Of the weights in `models/`."""
    initial_weights_digest: Sha256 | Unavailable
    """Of the weights with which the first phase began."""
    parents: tuple[ParentPart, ...] = ()
    """Earlier runs that this one went on from, as they were when it began."""
    first_non_finite_loss: Json = None
    """Phase and epoch of the first loss that was NaN or infinite."""
    test: TestResults | Unavailable
    convergence: Convergence | Unavailable
    performance: dict[str, MetricPerformance]
    """By metric, validation metrics as `val_...`."""
    timing: Timing
    peaks: Peaks | Unavailable
    logged: dict[str, Json] = Field(default_factory=dict)
    """What `archive.log` was given, the last value of each name; all values are in the journal."""

"""The journal of an ensemble: a line that says what is searched, and a line for each candidate that was tried."""

from typing import Literal

from pydantic import Field

from archiver.records.base import Count, Json, Part, Real, UtcTime

MEBIBYTE = 1 << 20


class MemoryUse(Part):
    """Memory of a process of its own, before a piece of work, after it, and at most in between."""

    before_bytes: Count
    """Resident memory, libraries and data loaded."""
    after_bytes: Count
    peak_bytes: Count
    """The largest resident memory while it worked, however short."""
    is_peak_exact: bool
    """False: the kernel does not tell, and peaks between samples may be missed."""
    gpu_peak_bytes: Count | None = None
    """The largest memory of the process on GPUs, sampled; null: there is no GPU, or it does not tell."""

    @property
    def added_mb(self) -> float:
        """What the work took at its peak beyond what was there before, in 2**20 bytes."""
        return max(0, self.peak_bytes - self.before_bytes) / MEBIBYTE


class EnsembleBegan(Part):
    """The first line: what must be the same for a search to go on."""

    kind: Literal["began"] = "began"
    format_version: Literal[1] = 1
    name: str
    created: UtcTime
    archiver_version: str
    scikit_learn: str
    host: str
    metric: str
    """The score that is climbed; a larger one is better."""
    classes: tuple[Json, ...]
    """The labels, in the order of the columns of all probabilities."""
    data: dict[str, str]
    """By split (`train`, `selection`, `test`): a digest of features and labels."""
    sample_count: Count
    """Of the training data."""
    feature_count: Count
    """Numbers per sample."""
    data_bytes: Count
    """Of the training data's features."""
    settings: dict[str, Json]
    """Seed, tolerance, and those of the second stage."""


class StageTwoPart(Part):
    """A training of the second-stage network."""

    run: str
    """Its archive, a folder beside that of the ensemble: `<run>_models`."""
    seal_id: str | None
    members: tuple[str, ...]
    """The candidates whose probabilities it gets, in order."""
    is_expanded: bool
    """Whether it began with the weights of the one before; its inputs for new members began with zeros."""
    score: Real
    """On the part of the selection data that it was not trained on."""
    test_score: Real | None = None
    memory: MemoryUse
    seconds: Real


class Prediction(Part):
    """What was expected of a candidate's memory, before it was trained, from the candidates before it."""

    memory_mb: Real
    """The peak beyond what is there before, in 2**20 bytes."""
    high_mb: Real
    """No more than this in 19 of 20 cases, if the errors are as they were."""
    typical_error: Real
    """The standard deviation of the logarithm of actual over predicted memory, each row predicted from the others."""
    row_count: Count
    """How many candidates it was learnt from."""


class EnsembleIteration(Part):
    """A line for each candidate, in order."""

    kind: Literal["iteration"] = "iteration"
    iteration: Count
    ended: UtcTime
    candidate: str
    classifier_type: str
    """Class of the last step of the pipeline."""
    configuration: dict[str, Json]
    """The parameters of the pipeline, as scikit-learn tells them."""
    score: Real | None
    """Of the candidate alone on the selection data; null: it has none."""
    ensemble_score: Real | None
    """Of the ensemble afterwards; null: it is still empty."""
    score_gain: Real | None
    """By how much this iteration raised it; null for the first member."""
    accepted: bool
    added: tuple[str, ...] = ()
    """What was added to the ensemble, one by one; a candidate may come again, and one that was refused before, too."""
    members: dict[str, Count]
    """The ensemble afterwards: how often each candidate is in it, in the order they came."""
    memory: MemoryUse | None = None
    """Of the training; null: not measured."""
    training_seconds: Real | None = None
    training_memory_mb: Real | None = None
    """Peak of the training beyond what was there before, in 2**20 bytes."""
    stage2: StageTwoPart | None = None
    stage2_memory_mb: Real | None = None
    """The same of the second stage; null: it was not trained."""
    prediction: Prediction | None = None
    alerts: tuple[str, ...] = Field(default=())
    """What was noteworthy about memory."""
    error: str | None = None
    """Why the candidate could not be trained."""


class EnsembleCompleted(Part):
    """The last line of a search that came to its end; more candidates may come after it."""

    kind: Literal["completed"] = "completed"
    ended: UtcTime
    iteration_count: Count
    score: Real | None
    test_score: Real | None
    """Of the mean of the members' probabilities."""

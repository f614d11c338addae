"""The training of one candidate, in a process of its own: its probabilities, its memory, and the fitted pipeline."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archiver.data.lines import as_line
from archiver.ensemble.candidates import Candidate
from archiver.ensemble.measuring import measured
from archiver.ensemble.processes import cloudpickle, run_in_process
from archiver.ensemble.scores import Probabilities
from archiver.errors import DataError, RecordError
from archiver.records.base import Json, Part, Real
from archiver.records.ensemble import MemoryUse
from archiver.storage.files import remove, replacing, write_bytes
from archiver.storage.npz import read_npz_array, write_npz

SPLITS = ("selection", "test")


@dataclass(frozen=True)
class CandidateJob:
    """A candidate, and where its data and results are; the folder is seen by all processes."""

    candidate: Candidate
    folder: Path
    """Of the ensemble."""
    classes: tuple[Any, ...]
    seed: int
    """Of the ensemble."""

    def path(self, suffix: str) -> Path:
        """Of one of its results."""
        return self.folder / "candidates" / f"{self.candidate.name}{suffix}"


class CandidateResult(Part):
    """`candidates/<name>.json`, written last: its presence says that the training is done."""

    configuration: dict[str, Json]
    """Of the candidate: one of the same name with other parameters is trained anew."""
    memory: MemoryUse | None
    seconds: Real | None
    error: str | None


def train_candidate(job: CandidateJob, threads: int) -> CandidateResult:
    """Train a candidate in a process of its own, unless that is done.

    A failure is returned, not written: whoever ends a search ends its processes too, and that is no failure of theirs.

    Args:
        job: what to train.
        threads: of the numeric libraries.
    """
    done = read_result(job)
    if done is not None:
        return done
    error = run_in_process(_train, job, job.path(".log"), threads)
    result = None if error is not None else read_result(job)
    return result or failed(job.candidate, error or "its process left no result")


def failed(candidate: Candidate, reason: str) -> CandidateResult:
    """The result of a candidate that could not be trained."""
    return CandidateResult(configuration=candidate.configuration, memory=None, seconds=None, error=reason)


def read_result(job: CandidateJob) -> CandidateResult | None:
    """What is known of a candidate; None: it was not trained, or not to its end."""
    path = job.path(".json")
    if not path.exists():
        return None
    try:
        result = CandidateResult.model_validate_json(path.read_bytes())
    except ValueError as error:
        raise RecordError(f"{path}: {error}. Delete it, and the candidate is trained again.") from error
    return result if result.configuration == job.candidate.configuration else None


def read_probabilities(job: CandidateJob, split: str) -> Probabilities:
    """What a candidate says of the selection or test data, shape (samples, classes)."""
    found: Probabilities = read_npz_array(job.path(".npz"), split, "float64")
    return found


def read_data(folder: Path) -> dict[str, tuple[Any, Any]]:
    """Features and labels by split, mapped from the disk where they are arrays."""
    import joblib

    data: dict[str, tuple[Any, Any]] = joblib.load(folder / "data.joblib", mmap_mode="r")
    return data


def _train(job: CandidateJob) -> None:
    """In the process of its own."""
    remove(job.path(".json"))  # of a candidate with other parameters
    data, estimator = read_data(job.folder), job.candidate.estimator
    _seed(job)
    with measured() as use:
        estimator.fit(*data["train"])
    arrays = {split: _probabilities(job, estimator, data[split][0]) for split in SPLITS if split in data}
    with replacing(job.path(".pickle")) as temporary, temporary.open("wb") as file:
        cloudpickle().dump(estimator, file)  # by value where it is of the user's script
    with replacing(job.path(".npz")) as temporary:
        write_npz(temporary, arrays.items())
    result = CandidateResult(
        configuration=job.candidate.configuration, memory=use.memory, seconds=use.seconds, error=None
    )
    write_bytes(job.path(".json"), as_line(result))


def _seed(job: CandidateJob) -> None:
    """Estimators without a seed of their own draw from NumPy's generator: each candidate gets one that neither its
    place nor what is trained beside it changes."""
    digest = hashlib.sha256(f"{job.seed}/{job.candidate.name}".encode()).digest()
    number = int.from_bytes(digest[:4], "little")
    random.seed(number)
    np.random.seed(number)


def _probabilities(job: CandidateJob, estimator: Any, x: Any) -> Probabilities:
    return class_probabilities(estimator, x, job.classes, job.candidate.name)


def class_probabilities(estimator: Any, x: Any, classes: tuple[Any, ...], name: str) -> Probabilities:
    """What a fitted estimator says of samples, a column per class of the ensemble; 0 for classes it has not seen.

    Decision functions become probabilities by the logistic function or softmax.

    Raises:
        DataError: they are not finite.
    """
    from scipy.special import expit, softmax

    if hasattr(estimator, "predict_proba"):
        own = np.asarray(estimator.predict_proba(x), np.float64)
    else:
        decision = np.asarray(estimator.decision_function(x), np.float64)
        own = np.stack([expit(-decision), expit(decision)], axis=1) if decision.ndim == 1 else softmax(decision, axis=1)
    if not np.isfinite(own).all():
        raise DataError(f"{name}: received probabilities that are not finite")
    places = {label: place for place, label in enumerate(np.asarray(estimator.classes_).tolist())}
    found = np.zeros((len(own), len(classes)))
    for column, label in enumerate(classes):
        if label in places:
            found[:, column] = own[:, places[label]]
    return found

"""Evaluating the model on test data, after training: metrics as compiled, predictions, scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from archiver import layout
from archiver.archive.run import Run
from archiver.collect.splits import DescribedSplit
from archiver.errors import DataError
from archiver.records.base import Unavailable, utc_now
from archiver.records.results import PredictionsPart, TestArrayPart, TestResults
from archiver.records.scores import TestScores
from archiver.scoring.metrics import scikit_learn_version
from archiver.scoring.scores import Details, Headline, score_output
from archiver.storage import files
from archiver.storage.npz import write_npz
from archiver.training.datasets import describe_split
from archiver.training.evaluation_data import EvaluationData
from archiver.training.outputs import Output, Tasks, name_for, outputs_of
from archiver.training.predicting import MAXIMAL_GATHERED_BYTES, Gathered, Rows, gather

MAXIMAL_STORED_BYTES = 16 << 20
"""Predictions, targets and weights beyond it are not stored; their digests always cover all of them."""
MAXIMAL_MESSAGE_LENGTH = 520
NO_TARGETS = "the test data hold no targets of this output"


@dataclass(frozen=True)
class Scoring:
    """What the user says of how to score."""

    tasks: Tasks = None
    threshold: float = 0.5
    class_names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Evaluation:
    """What came out of the test data."""

    results: TestResults
    split: DescribedSplit
    scores: TestScores | None
    """The tables; None where nothing could be scored."""
    stored: dict[str, NDArray[Any]]


def evaluate(
    model: Any, data: EvaluationData, scoring: Scoring, *, weights_digest: str, batch_size: int | None, run: Run
) -> Evaluation:
    """Losses and metrics as compiled, the predictions, and their scores.

    Raises:
        DataError: Keras cannot evaluate the model on this data, or a task does not fit.
    """
    metrics = _compiled_metrics(model, data, batch_size)
    gathered = _gathered(model, data, batch_size)
    split = describe_split(*data.given)
    results = TestResults(
        evaluated=utc_now(),
        weights_digest=weights_digest,
        sample_count=_sample_count(gathered),
        metrics=metrics,
        scores=gathered if isinstance(gathered, Unavailable) else {},
        predictions=gathered if isinstance(gathered, Unavailable) else (),
    )
    if isinstance(gathered, Unavailable):
        return Evaluation(results, split, None, {})
    outputs = outputs_of(model, gathered.structure, scoring.tasks, scoring.threshold, scoring.class_names)
    scores = {output.name: _score(gathered, output) for output in outputs}
    tables = _tables({name: details for name, (_, details) in scores.items()}, weights_digest)
    parts, stored = _kept(gathered, outputs)
    update = {
        "scores": {name: headline for name, (headline, _) in scores.items()},
        "scores_file": layout.TEST_SCORES.path(run.name) if tables else None,
        "predictions": parts,
        "predictions_file": layout.PREDICTIONS.path(run.name),
    }
    return Evaluation(results.model_copy(update=update), split, tables, stored)


def _sample_count(gathered: Gathered | Unavailable) -> int | Unavailable:
    if isinstance(gathered, Unavailable):
        return gathered
    counts = {rows.count for rows in gathered.outputs.values()}
    return counts.pop() if len(counts) == 1 else Unavailable(unavailable="the outputs differ in length")


def _compiled_metrics(model: Any, data: EvaluationData, batch_size: int | None) -> dict[str, float]:
    try:
        metrics = model.evaluate(
            data.x, data.y, sample_weight=data.sample_weight, batch_size=batch_size, verbose=0, return_dict=True
        )
    except Exception as error:
        raise DataError(f"The model could not be evaluated on the test data: {_shortened(error)}") from error
    return {name: float(value) for name, value in metrics.items()}


def _gathered(model: Any, data: EvaluationData, batch_size: int | None) -> Gathered | Unavailable:
    try:
        return gather(model, data, batch_size, MAXIMAL_STORED_BYTES)
    except Exception as error:  # noqa: BLE001 - the metrics are there, and a reader is told what is not
        return Unavailable(unavailable=f"the test data could not be predicted: {_shortened(error)}")


def _shortened(error: Exception) -> str:
    """Keras puts whole arrays and tracebacks into its messages; what went wrong stands at the beginning or the end."""
    text = " ".join(str(error).split())
    text = text if len(text) <= MAXIMAL_MESSAGE_LENGTH else f"{text[:200]} ... {text[-300:]}"
    return f"{type(error).__name__}: {text}"


def _score(gathered: Gathered, output: Output) -> tuple[Headline, Details]:
    target, weight = (_find(rows, output) for rows in (gathered.targets, gathered.weights))
    predictions = gathered.outputs[output.path]
    reason = _why_not(predictions, target, weight)
    if reason is not None or target is None:
        unavailable = Unavailable(unavailable=reason or NO_TARGETS)
        return unavailable, unavailable
    return score_output(target.held(), predictions.held(), weight.held() if weight else None, output.hints)


def _why_not(predictions: Rows, target: Rows | None, weight: Rows | None) -> str | None:
    rows = [each for each in (predictions, target, weight) if each is not None]
    fault = next((each.fault for each in rows if each.fault), None)
    if fault is None and not all(each.is_complete for each in rows):
        return f"not scored: together they are larger than {MAXIMAL_GATHERED_BYTES:,} bytes"
    return fault


def _find(rows: dict[str, Rows], output: Output) -> Rows | None:
    name = name_for(rows, output)
    return rows[name] if name is not None else None


def _tables(details: dict[str, Details], weights_digest: str) -> TestScores | None:
    if all(isinstance(each, Unavailable) for each in details.values()):
        return None
    return TestScores(weights_digest=weights_digest, scikit_learn=scikit_learn_version(), outputs=details)


def _kept(gathered: Gathered, outputs: list[Output]) -> tuple[tuple[PredictionsPart, ...], dict[str, NDArray[Any]]]:
    """The parts of the record, and what goes into the file: the same samples of all arrays."""
    everything = {**gathered.outputs, **gathered.targets, **gathered.weights}
    usable = {name: rows for name, rows in everything.items() if not rows.fault}
    room = MAXIMAL_STORED_BYTES // max(1, sum(rows.row_bytes for rows in usable.values()))
    parts = tuple(
        PredictionsPart(
            output=output.path,
            name=output.name,
            shape=rows.shape,
            dtype=rows.dtype.name,
            sha256=rows.sha256,
            stored_count=min(rows.count, room),
            target=_array_part(gathered.targets, output, NO_TARGETS),
            sample_weight=_array_part(gathered.weights, output, "no sample weights were given"),
        )
        for output in outputs
        for rows in (gathered.outputs[output.path],)
    )
    return parts, {name: rows.held()[:room] for name, rows in usable.items()}


def _array_part(rows: dict[str, Rows], output: Output, otherwise: str) -> TestArrayPart | Unavailable:
    name = name_for(rows, output)
    if name is None:
        return Unavailable(unavailable=otherwise)
    found = rows[name]
    if found.fault is not None:
        return Unavailable(unavailable=found.fault)
    return TestArrayPart(array=name, shape=found.shape, dtype=found.dtype.name, sha256=found.sha256)


def write_predictions(run: Run, evaluation: Evaluation) -> None:
    """Write the stored predictions, targets and weights, one array for each, if there are any."""
    if not evaluation.stored:
        return
    with files.replacing(run.path_of(layout.PREDICTIONS)) as temporary:
        write_npz(temporary, evaluation.stored.items())


def write_scores(run: Run, evaluation: Evaluation) -> None:
    """Write the tables of the scores, if there are any."""
    if evaluation.scores is not None:
        run.write(layout.TEST_SCORES, evaluation.scores)

"""The scores of one output."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.errors import DataError
from archiver.records.base import Unavailable
from archiver.records.scores import ClassScores, DecisionPart, HeadlineScores, RegressionScores, Task
from archiver.scoring.bootstrap import intervals
from archiver.scoring.choices import binary_choices, multi_class_choices
from archiver.scoring.classes import score_choices
from archiver.scoring.columns import score_regression
from archiver.scoring.elements import NotScoredError
from archiver.scoring.hints import Hints
from archiver.scoring.labels import score_multi_label
from archiver.scoring.metrics import scikit_learn_version
from archiver.scoring.scored import Scored
from archiver.scoring.tasks import detect_task

Array = NDArray[Any]
Headline = HeadlineScores | Unavailable
Details = ClassScores | RegressionScores | Unavailable


def score_output(
    targets: Array, predictions: Array, weights: Array | None = None, hints: Hints | None = None
) -> tuple[Headline, Details]:
    """Score predictions against targets, as the task asks for.

    Args:
        targets: numbers, the first axis counting n samples: class numbers `(n, ...)`, or like the predictions.
        predictions: `(n, ..., columns)` or `(n,)`.
        weights: of the samples `(n,)` or of the elements `(n, ...)`; at least 0.
        hints: what the compiled model and the user say.

    Returns:
        The headline scores and the tables, or the reason why there are none.

    Raises:
        DataError: the targets do not fit the task that the user gave.
    """
    hints = hints or Hints()
    try:
        scikit_learn_version()
        targets, predictions = _numbers(targets, "targets"), _numbers(predictions, "predictions")
        task, evidence = detect_task(targets, predictions, hints)
        scored = _score(task, targets, predictions, weights, hints)
        return _headline(task, evidence, scored, hints), scored.details
    except DataError:
        raise
    except NotScoredError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - what cannot be scored must not cost the other test results
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return Unavailable(unavailable=reason), Unavailable(unavailable=reason)


def _numbers(array: Array, what: str) -> Array:
    if array.dtype.kind not in "biuf":
        try:
            array = array.astype(np.float32)  # the types of ml_dtypes, such as bfloat16
        except (TypeError, ValueError):
            raise NotScoredError(f"the {what} are of the type {array.dtype}, no numbers") from None
    if not array.ndim or not array.size:
        raise NotScoredError(f"the {what} have the shape {array.shape}")
    return array


def _score(task: Task, targets: Array, predictions: Array, weights: Array | None, hints: Hints) -> Scored:
    if len(targets) != len(predictions):
        raise NotScoredError(f"{len(targets)} targets for {len(predictions)} predictions")
    if task == "binary":
        return score_choices(binary_choices(targets, predictions, weights, hints), hints, is_binary=True)
    if task == "multi_class":
        return score_choices(multi_class_choices(targets, predictions, weights, hints), hints, is_binary=False)
    if task == "multi_label":
        return score_multi_label(targets, predictions, weights, hints)
    return score_regression(targets, predictions, weights)


def _headline(task: Task, evidence: tuple[str, ...], scored: Scored, hints: Hints) -> HeadlineScores:
    elements = scored.elements
    bootstrap, found = intervals(elements.sample_count, elements.count, scored.statistics)
    return HeadlineScores(
        decision=DecisionPart(
            task=task,
            decided_by="detected" if hints.task is None else "given",
            evidence=(*evidence, *scored.evidence),
            outputs_are=scored.outputs_are,
            threshold=scored.threshold,
        ),
        sample_count=elements.sample_count,
        element_count=elements.count,
        left_out_count=elements.left_out_count,
        is_weighted=elements.weights is not None,
        values=scored.values,
        intervals={name: found[name] for name in scored.values if name in found},
        bootstrap=bootstrap,
    )

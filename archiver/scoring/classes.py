"""Scoring outputs that choose one class: `binary` and `multi_class`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.records.base import Unavailable
from archiver.records.scores import AveragePart, CalibrationPart, ClassScores, ConfusedPart, ConfusionPart
from archiver.scoring import statistics
from archiver.scoring.bootstrap import Statistic
from archiver.scoring.calibration import calibration
from archiver.scoring.choices import Choices
from archiver.scoring.hints import Hints
from archiver.scoring.metrics import ZERO_DIVISION, average, class_table, names_of
from archiver.scoring.probabilities import log_losses
from archiver.scoring.ranking import Ranking, mean_of_ranking, rank_columns, ranking
from archiver.scoring.scored import NO_PROBABILITIES, Scored, Values

Array = NDArray[Any]

MAXIMAL_MATRIX = 100
"""Classes up to which the confusion matrix is written out."""
MAXIMAL_CONFUSIONS = 100
TOP = 5


def score_choices(choices: Choices, hints: Hints, *, is_binary: bool) -> Scored:
    """All scores of predicted classes."""
    details = _details(choices, hints, is_binary=is_binary)
    values: Values = {
        "accuracy": choices.elements.mean(choices.labels == choices.predicted),
        "balanced_accuracy": _balanced_accuracy(choices),
        **(_values_of_class_1(details) if is_binary else _values_of_all_classes(choices, details.averages)),
        **_values_of_ranking(details, is_binary=is_binary),
        **_values_of_probabilities(choices, details, is_binary=is_binary),
    }
    return Scored(
        outputs_are=choices.outputs_are,
        evidence=choices.evidence,
        threshold=choices.threshold,
        elements=choices.elements,
        values=values,
        statistics=_statistics(choices, is_binary=is_binary),
        details=details,
    )


def _details(choices: Choices, hints: Hints, *, is_binary: bool) -> ClassScores:
    weights, count = choices.elements.weights, choices.class_count
    counts = (
        np.bincount(choices.labels, minlength=count),
        np.bincount(choices.predicted, minlength=count),
        np.bincount(choices.labels[choices.labels == choices.predicted], minlength=count),
    )
    classes = class_table(choices.labels, choices.predicted, weights, names_of(hints.class_names, count), counts)
    areas, precisions = _ranking(choices, is_binary=is_binary)
    return ClassScores(
        class_count=count,
        zero_division=ZERO_DIVISION,
        averages={
            kind: average(choices.labels, choices.predicted, weights, kind) for kind in ("macro", "micro", "weighted")
        },
        calibration=_calibration(choices),
        confusion=confusion(choices.labels, choices.predicted, count),
        classes=classes,
        classes_not_listed=count - len(classes),
        roc_auc=areas,
        average_precision=precisions,
    )


def confusion(labels: Array, predicted: Array, count: int) -> ConfusionPart:
    """How often each of `count` classes was predicted for each."""
    cells, sizes = np.unique(labels * count + predicted, return_counts=True)
    true, guessed = np.divmod(cells, count)
    wrong = np.flatnonzero(true != guessed)
    wrong = wrong[np.argsort(-sizes[wrong], kind="stable")][:MAXIMAL_CONFUSIONS]
    matrix: Any = Unavailable(unavailable=f"there are more than {MAXIMAL_MATRIX} classes")
    if count <= MAXIMAL_MATRIX:
        dense = np.zeros((count, count), np.int64)
        dense[true, guessed] = sizes
        matrix = tuple(tuple(row) for row in dense.tolist())
    return ConfusionPart(
        matrix=matrix,
        largest=tuple(
            ConfusedPart(true=int(true[cell]), predicted=int(guessed[cell]), count=int(sizes[cell])) for cell in wrong
        ),
    )


def _calibration(choices: Choices) -> CalibrationPart | Unavailable:
    if choices.confidence is None:
        return NO_PROBABILITIES
    return calibration(choices.confidence, choices.labels == choices.predicted, choices.elements.weights)


def _ranking(choices: Choices, *, is_binary: bool) -> tuple[Ranking, Ranking]:
    """Of each class against the rest."""
    if not is_binary or choices.ranked is None:
        return ranking(choices.ranked, choices.labels, choices.elements.weights)
    columns = np.concatenate([-choices.ranked, choices.ranked], axis=1)
    return rank_columns(columns, choices.labels, choices.elements.weights)


def _balanced_accuracy(choices: Choices) -> float:
    """The mean of the recalls of the classes that occur."""
    weights = choices.elements.weights
    weights = np.ones(len(choices.labels)) if weights is None else weights
    support = np.bincount(choices.labels, weights)
    right = np.bincount(choices.labels, weights * (choices.labels == choices.predicted))
    return float(np.mean(right[support > 0] / support[support > 0]))


def _values_of_class_1(details: ClassScores) -> Values:
    one = details.classes[1]
    return {
        "precision": one.precision,
        "recall": one.recall,
        "f1": one.f1,
        "f1_macro": details.averages["macro"].f1,
    }


def _values_of_all_classes(choices: Choices, averages: dict[str, AveragePart]) -> Values:
    macro = averages["macro"]
    values: Values = {
        "precision_macro": macro.precision,
        "recall_macro": macro.recall,
        "f1_macro": macro.f1,
        "f1_weighted": averages["weighted"].f1,
    }
    if choices.rank is not None and choices.class_count > TOP:
        values[f"top_{TOP}_accuracy"] = choices.elements.mean(choices.rank < TOP)
    return values


def _values_of_ranking(details: ClassScores, *, is_binary: bool) -> Values:
    areas, precisions = details.roc_auc, details.average_precision
    suffix = "_macro"
    if is_binary:
        suffix, areas, precisions = "", _of_class_1(areas), _of_class_1(precisions)
    return {
        f"roc_auc{suffix}": mean_of_ranking(areas, "the targets are all of 1 class"),
        f"average_precision{suffix}": mean_of_ranking(precisions, "no target is of class 1"),
    }


def _of_class_1(values: Ranking) -> Ranking:
    return values if isinstance(values, Unavailable) else values[1:]


def _values_of_probabilities(choices: Choices, details: ClassScores, *, is_binary: bool) -> Values:
    values: Values = {"log_loss": NO_PROBABILITIES, "expected_calibration_error": NO_PROBABILITIES}
    if is_binary:
        values["brier_score"] = NO_PROBABILITIES
    if choices.true_probability is None or isinstance(details.calibration, Unavailable):
        return values
    values["log_loss"] = choices.elements.mean(log_losses(choices.true_probability, choices.dtype))
    values["expected_calibration_error"] = details.calibration.expected_calibration_error
    if is_binary:
        values["brier_score"] = choices.elements.mean(np.square(1 - choices.true_probability))
    return values


def _statistics(choices: Choices, *, is_binary: bool) -> list[Statistic]:
    elements = choices.elements
    averaged = {"accuracy": choices.labels == choices.predicted}
    if choices.true_probability is not None:
        averaged["log_loss"] = log_losses(choices.true_probability, choices.dtype)
    found = [
        statistics.means(elements, averaged),
        statistics.class_scores(elements, choices.labels, choices.predicted, is_binary=is_binary),
    ]
    if is_binary and choices.ranked is not None:
        found.append(statistics.roc_auc(elements, choices.ranked[:, 0], choices.labels == 1))
    return found

"""Scoring outputs of which every column says yes or no on its own: `multi_label`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.records.base import Unavailable
from archiver.records.scores import CalibrationPart, ClassScores, OutputKind
from archiver.scoring import statistics
from archiver.scoring.bootstrap import Statistic
from archiver.scoring.calibration import calibration
from archiver.scoring.elements import MAXIMAL_ELEMENTS, Elements, NotScoredError, check_finite, elements_of
from archiver.scoring.hints import Hints
from archiver.scoring.metrics import MAXIMAL_CLASSES, ZERO_DIVISION, average, class_table, names_of
from archiver.scoring.probabilities import kind_of_columns, log_losses, sigmoid
from archiver.scoring.ranking import is_too_large, mean_of_ranking, ranking
from archiver.scoring.scored import NO_PROBABILITIES, Scored, Values

Array = NDArray[Any]

MAXIMAL_RESAMPLED_LABELS = 100


@dataclass(frozen=True)
class _Labels:
    """What is scored: arrays of m by L, elements left out being gone."""

    elements: Elements
    columns: Array
    """Probabilities, or decision values."""
    truth: Array
    """bool."""
    predicted: Array
    """bool."""
    losses: Array | None
    """Of each element, the mean of the log losses of its labels, (m,); None where there are no probabilities."""

    @property
    def is_exact(self) -> Array:
        """Whether all labels of an element are right, (m,)."""
        return np.asarray(np.all(self.truth == self.predicted, axis=1))

    @property
    def hamming(self) -> Array:
        """The share of an element's labels that are wrong, (m,)."""
        return np.asarray(np.mean(self.truth != self.predicted, axis=1))


def score_multi_label(targets: Array, predictions: Array, weights: Array | None, hints: Hints) -> Scored:
    """Score columns of probabilities, logits or decision values against 0 and 1.

    Raises:
        NotScoredError: there are too many numbers, predictions are not finite, or the weights cannot be used.
    """
    if predictions.size > MAXIMAL_ELEMENTS:
        raise NotScoredError(f"{predictions.size:,} predictions of labels are more than {MAXIMAL_ELEMENTS:,}")
    kind, why = kind_of_columns(predictions, hints)
    threshold = 0.0 if kind == "decision_values" else hints.threshold
    labels = _labels(targets, predictions, weights, kind, threshold)
    details = _details(labels, hints)
    return Scored(
        outputs_are=kind,
        evidence=(f"outputs: {kind}, since {why}",),
        threshold=threshold,
        elements=labels.elements,
        values=_values(labels, details),
        statistics=_statistics(labels),
        details=details,
    )


def _labels(targets: Array, predictions: Array, weights: Array | None, kind: OutputKind, threshold: float) -> _Labels:
    count = predictions.shape[-1]
    elements = elements_of(predictions.shape[:-1], weights)
    raw = elements.keep(predictions.reshape(-1, count))
    columns = sigmoid(raw) if kind == "logits" else raw
    check_finite(columns, "predictions")
    truth = elements.keep(targets.reshape(-1, count)) > 0
    losses = None
    if kind != "decision_values":
        true_values = np.where(truth, columns, 1 - columns.astype(np.float64))
        losses = log_losses(true_values, columns.dtype).mean(axis=1)
    return _Labels(elements, columns, truth, columns > threshold, losses)


def _details(labels: _Labels, hints: Hints) -> ClassScores:
    truth, predicted, weights = labels.truth, labels.predicted, labels.elements.weights
    count = truth.shape[1]
    counts = (truth.sum(axis=0), predicted.sum(axis=0), (truth & predicted).sum(axis=0))
    ranked = None if is_too_large(*labels.columns.shape) else labels.columns
    areas, precisions = ranking(ranked, truth, weights)
    return ClassScores(
        class_count=count,
        zero_division=ZERO_DIVISION,
        averages={kind: average(truth, predicted, weights, kind) for kind in ("macro", "micro", "weighted", "samples")},
        calibration=_calibration(labels),
        confusion=Unavailable(unavailable="labels do not exclude each other"),
        classes=class_table(truth, predicted, weights, names_of(hints.class_names, count), counts),
        classes_not_listed=max(0, count - MAXIMAL_CLASSES),
        roc_auc=areas,
        average_precision=precisions,
    )


def _calibration(labels: _Labels) -> CalibrationPart | Unavailable:
    if labels.losses is None:
        return NO_PROBABILITIES
    confidence = np.where(labels.predicted, labels.columns, 1 - labels.columns.astype(np.float64)).reshape(-1)
    weights = labels.elements.weights
    weights = None if weights is None else np.repeat(weights, labels.columns.shape[1])
    return calibration(confidence, (labels.truth == labels.predicted).reshape(-1), weights)


def _values(labels: _Labels, details: ClassScores) -> Values:
    averages, reliability, mean = details.averages, details.calibration, labels.elements.mean
    return {
        "subset_accuracy": mean(labels.is_exact),
        "hamming_loss": mean(labels.hamming),
        **{f"f1_{kind}": part.f1 for kind, part in averages.items()},
        **{f"precision_{kind}": averages[kind].precision for kind in ("macro", "micro")},
        **{f"recall_{kind}": averages[kind].recall for kind in ("macro", "micro")},
        "roc_auc_macro": mean_of_ranking(details.roc_auc, "no label has targets of both kinds"),
        "average_precision_macro": mean_of_ranking(details.average_precision, "no target is 1"),
        "log_loss": mean(labels.losses) if labels.losses is not None else NO_PROBABILITIES,
        "expected_calibration_error": reliability.expected_calibration_error
        if isinstance(reliability, CalibrationPart)
        else reliability,
    }


def _statistics(labels: _Labels) -> list[Statistic]:
    averaged = {"subset_accuracy": labels.is_exact, "hamming_loss": labels.hamming}
    if labels.losses is not None:
        averaged["log_loss"] = labels.losses
    found = [statistics.means(labels.elements, averaged)]
    if labels.truth.shape[1] <= MAXIMAL_RESAMPLED_LABELS:
        found.append(statistics.label_scores(labels.elements, labels.truth, labels.predicted))
    return found

"""Scoring outputs that are numbers: `regression`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.records.base import Unavailable
from archiver.records.scores import ColumnPart, RegressionScores
from archiver.scoring import statistics
from archiver.scoring.elements import MAXIMAL_ELEMENTS, Elements, NotScoredError, check_finite, elements_of
from archiver.scoring.scored import Scored, Values

Array = NDArray[Any]

MAXIMAL_COLUMNS = 100
"""Columns in the table, and columns up to which R2 and the root mean squared error are resampled."""
QUANTILES = (0, 1, 5, 25, 50, 75, 95, 99, 100)


def score_regression(targets: Array, predictions: Array, weights: Array | None) -> Scored:
    """Score numbers; the last axis holds the columns.

    Raises:
        NotScoredError: there are too many numbers, some are not finite, the shapes do not fit, or the weights.
    """
    shape = predictions.shape if predictions.ndim > 1 else (*predictions.shape, 1)
    if targets.size != predictions.size:
        raise NotScoredError(f"targets of the shape {targets.shape} for predictions of the shape {predictions.shape}")
    if predictions.size > MAXIMAL_ELEMENTS:
        raise NotScoredError(f"{predictions.size:,} predictions are more than {MAXIMAL_ELEMENTS:,}")
    elements = elements_of(shape[:-1], weights)
    columns = [elements.keep(each.reshape(-1, shape[-1])).astype(np.float64) for each in (targets, predictions)]
    check_finite(columns[0], "targets")
    check_finite(columns[1], "predictions")
    residuals = columns[1] - columns[0]
    averaged = {"mean_absolute_error": np.abs(residuals).mean(axis=1), "mean_error": residuals.mean(axis=1)}
    found = [statistics.means(elements, averaged)]
    if shape[-1] <= MAXIMAL_COLUMNS:
        found.append(statistics.regression_scores(elements, *columns))
    return Scored(
        outputs_are="values",
        evidence=(),
        threshold=None,
        elements=elements,
        values=_values(elements, *columns),
        statistics=found,
        details=_details(elements, *columns),
    )


def _values(elements: Elements, targets: Array, predictions: Array) -> Values:
    from sklearn import metrics

    weighted = {"sample_weight": elements.weights}
    too_few = Unavailable(unavailable="there is 1 element; it needs at least 2")
    has_enough = elements.count > 1
    return {
        "mean_absolute_error": float(metrics.mean_absolute_error(targets, predictions, **weighted)),
        "root_mean_squared_error": float(metrics.root_mean_squared_error(targets, predictions, **weighted)),
        "r2": float(metrics.r2_score(targets, predictions, **weighted)) if has_enough else too_few,
        "explained_variance": float(metrics.explained_variance_score(targets, predictions, **weighted)),
        "median_absolute_error": float(metrics.median_absolute_error(targets, predictions)),
        "max_error": float(np.abs(predictions - targets).max()),
        "mean_error": elements.mean((predictions - targets).mean(axis=1)),
    }


def _details(elements: Elements, targets: Array, predictions: Array) -> RegressionScores:
    residuals = predictions - targets
    quantiles = np.quantile(residuals, np.array(QUANTILES) / 100)
    count = targets.shape[1]
    listed = min(count, MAXIMAL_COLUMNS)
    return RegressionScores(
        column_count=count,
        residual_quantiles={str(percent): float(value) for percent, value in zip(QUANTILES, quantiles, strict=True)},
        columns=tuple(_column(elements, index, targets[:, index], predictions[:, index]) for index in range(listed)),
        columns_not_listed=count - listed,
    )


def _column(elements: Elements, index: int, targets: Array, predictions: Array) -> ColumnPart:
    values: Any = _values(elements, targets[:, np.newaxis], predictions[:, np.newaxis])
    names = ("mean_absolute_error", "root_mean_squared_error", "r2", "mean_error")
    return ColumnPart(index=index, **{name: values[name] for name in names})

"""Calibration: is what is predicted with confidence p right in a share p of the cases?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.records.scores import CalibrationBin, CalibrationPart

Array = NDArray[Any]

BIN_COUNT = 15


def calibration(confidence: Array, correct: Array, weights: Array | None = None) -> CalibrationPart:
    """The expected calibration error, and the bins it is made of.

    Elements are put into `BIN_COUNT` bins of equal width by their confidence, the m-th being ((m-1)/M, m/M] (0 belongs
    to the first). With |B| the weight of a bin, acc(B) the share of its elements that are right and conf(B) the mean of
    their confidences,

        ECE = sum over bins B of |B| / n * |acc(B) - conf(B)|

    Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks. ICML 2017, equations 2 to 5.

    Args:
        confidence: probabilities of what was predicted, (m,), in [0, 1].
        correct: whether it was right, (m,), bool.
        weights: (m,); None: each element counts 1.
    """
    edges = np.linspace(0, 1, BIN_COUNT + 1)
    places = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, BIN_COUNT - 1)
    weights = np.ones(len(confidence)) if weights is None else weights
    ones = np.ones(len(confidence))
    counts = np.bincount(places, minlength=BIN_COUNT).tolist()
    totals, sums, hits = (np.bincount(places, values * weights, BIN_COUNT) for values in (ones, confidence, correct))
    error = float(np.abs(hits - sums).sum() / totals.sum())
    with np.errstate(invalid="ignore"):
        confidences, accuracies = sums / totals, hits / totals
    rows = zip(edges[:-1], edges[1:], counts, confidences, accuracies, strict=True)
    bins = (
        CalibrationBin(low=float(low), high=float(high), count=count, confidence=float(mean), accuracy=float(share))
        for low, high, count, mean, share in rows
    )
    return CalibrationPart(expected_calibration_error=error, bins=tuple(bins))

"""How much memory a candidate will take, learnt from others: its type, its configuration, the size of its data.

Ridge regression on the logarithm of the memory. Numbers count by their logarithm, everything else as one yes or no per
value; parameters count within their type of classifier. The error is that of each row predicted from all others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.records.ensemble import EnsembleBegan, EnsembleIteration, Prediction

MINIMAL_ROWS = 5
HIGH_QUANTILE = 1.645
"""Of the normal distribution: 19 of 20 are below."""
MAXIMAL_FEATURES_PER_ROW = 200
_ALPHAS = np.logspace(-2, 3, 11)


@dataclass(frozen=True)
class MemoryRow:
    """What decides about memory, and the memory itself where it is known."""

    classifier_type: str
    configuration: dict[str, Any]
    sample_count: int
    feature_count: int
    data_bytes: int
    memory_mb: float | None = None

    @classmethod
    def of(cls, began: EnsembleBegan, iteration: EnsembleIteration) -> MemoryRow:
        """A candidate that was tried."""
        return cls(
            iteration.classifier_type,
            iteration.configuration,
            began.sample_count,
            began.feature_count,
            began.data_bytes,
            iteration.training_memory_mb,
        )

    def features(self) -> dict[str, float]:
        """By name; what is not there is 0."""
        kind = self.classifier_type
        found = {
            f"type={kind}": 1.0,
            "samples": math.log1p(self.sample_count),
            "features": math.log1p(self.feature_count),
            "bytes": math.log1p(self.data_bytes),
        }
        for name, value in list(self.configuration.items())[:MAXIMAL_FEATURES_PER_ROW]:
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                found[f"{kind}.{name}"] = math.copysign(math.log1p(abs(value)), value)
            else:
                found[f"{kind}.{name}={str(value)[:80]}"] = 1.0
        return found


class MemoryModel:
    """A regression over rows whose memory is known.

    Args:
        rows: those without memory are left out.
    """

    def __init__(self, rows: Sequence[MemoryRow]) -> None:
        known = [(row, row.memory_mb) for row in rows if row.memory_mb is not None and math.isfinite(row.memory_mb)]
        self.row_count = len(known)
        self.typical_error = math.nan
        self._pipeline: Any = None
        if self.row_count >= MINIMAL_ROWS:
            self._fit([row.features() for row, _ in known], np.log1p([max(0.0, memory) for _, memory in known]))

    def _fit(self, features: list[dict[str, float]], targets: Any) -> None:
        from sklearn.feature_extraction import DictVectorizer
        from sklearn.linear_model import RidgeCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        ridge = RidgeCV(alphas=_ALPHAS, store_cv_results=True)  # leaves each row out in turn
        self._pipeline = make_pipeline(DictVectorizer(sparse=False), StandardScaler(), ridge).fit(features, targets)
        errors = ridge.cv_results_[:, int(np.argmin(ridge.cv_results_.mean(axis=0)))]
        self.typical_error = float(np.sqrt(errors.mean()))

    def predict(self, row: MemoryRow) -> Prediction | None:
        """What a row is expected to take; None: too few rows are known."""
        if self._pipeline is None:
            return None
        mean = float(self._pipeline.predict([row.features()])[0])
        return Prediction(
            memory_mb=max(0.0, math.expm1(mean)),
            high_mb=max(0.0, math.expm1(min(mean + HIGH_QUANTILE * self.typical_error, 60.0))),
            typical_error=self.typical_error,
            row_count=self.row_count,
        )


def memory_time_correlation(memory_mb: Sequence[float | None], seconds: Sequence[float | None]) -> float | None:
    """Spearman's rank correlation of memory with training time, -1 to 1; None: fewer than three pairs, or all equal."""
    pairs = [
        (memory, time)
        for memory, time in zip(memory_mb, seconds, strict=True)
        if memory is not None and time is not None
    ]
    if len(pairs) < 3:  # noqa: PLR2004 - two points always lie on a line
        return None
    ranks = [_ranks(column) for column in zip(*pairs, strict=True)]
    if any(np.ptp(each) == 0 for each in ranks):
        return None
    return float(np.asarray(np.corrcoef(ranks))[0, 1])


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """From 1 on; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    found: NDArray[np.float64] = ends[places] - (counts[places] - 1) / 2
    return found

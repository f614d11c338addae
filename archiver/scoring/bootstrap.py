"""Confidence intervals by the percentile bootstrap, in blocks of resamples.

Efron, Tibshirani: An Introduction to the Bootstrap. Chapman and Hall 1993, chapter 13.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.records.base import Unavailable
from archiver.records.scores import BootstrapPart, Interval

Array = NDArray[Any]

Statistic = Callable[[Array], Mapping[str, Array]]
"""From how often each sample was drawn (b by n, float64) to scores by name, (b,) each, NaN where one is not defined."""

SEED = 0
CONFIDENCE_LEVEL = 0.95
RESAMPLES, FEWEST_RESAMPLES = 1_000, 200
MAXIMAL_WORK = 50_000_000
"""Resamples times elements; above it there are fewer resamples."""
MAXIMAL_ELEMENTS = 2_500_000
_BLOCK_ELEMENTS = 1 << 20


def plan(sample_count: int, element_count: int) -> BootstrapPart | Unavailable:
    """How many resamples to draw, or why none."""
    if sample_count < 2:  # noqa: PLR2004
        return Unavailable(unavailable="there is 1 sample; resampling needs at least 2")
    if element_count > MAXIMAL_ELEMENTS:
        return Unavailable(unavailable=f"not resampled: more than {MAXIMAL_ELEMENTS:,} elements")
    count = max(FEWEST_RESAMPLES, min(RESAMPLES, MAXIMAL_WORK // element_count))
    return BootstrapPart(confidence_level=CONFIDENCE_LEVEL, resample_count=count, seed=SEED)


def resample(
    sample_count: int, element_count: int, bootstrap: BootstrapPart, statistics: list[Statistic]
) -> dict[str, Array]:
    """The scores of every resample, by name, (resample_count,) each.

    Resample after resample, `Generator(PCG64(seed)).integers(0, n, n)` says which samples are drawn; the global random
    state of NumPy is not touched.
    """
    generator = np.random.Generator(np.random.PCG64(bootstrap.seed))
    found: dict[str, list[Array]] = {}
    block = max(1, _BLOCK_ELEMENTS // element_count)
    for start in range(0, bootstrap.resample_count, block):
        counts = _draw(generator, sample_count, min(block, bootstrap.resample_count - start))
        for statistic in statistics:
            for name, values in statistic(counts).items():
                found.setdefault(name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _draw(generator: np.random.Generator, sample_count: int, rows: int) -> Array:
    drawn = generator.integers(0, sample_count, (rows, sample_count))
    drawn += np.arange(rows)[:, np.newaxis] * sample_count
    counts = np.bincount(drawn.reshape(-1), minlength=rows * sample_count)
    return counts.reshape(rows, sample_count).astype(np.float64)


def percentile_interval(values: Array, confidence_level: float) -> Interval | Unavailable:
    """The interval between the percentiles of the resamples' scores, those that are NaN left out."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return Unavailable(unavailable="the score is not defined in any resample")
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(low=float(low), high=float(high), resample_count=len(defined))


def intervals(
    sample_count: int, element_count: int, statistics: list[Statistic]
) -> tuple[BootstrapPart | Unavailable, dict[str, Interval | Unavailable]]:
    """How it was resampled, and the interval of every score of the statistics."""
    bootstrap = plan(sample_count, element_count)
    if isinstance(bootstrap, Unavailable):
        return bootstrap, {}
    scores = resample(sample_count, element_count, bootstrap, statistics)
    level = bootstrap.confidence_level
    return bootstrap, {name: percentile_interval(values, level) for name, values in scores.items()}

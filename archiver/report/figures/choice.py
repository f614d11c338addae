"""What of a run is drawn where there is more than a figure can hold."""

from __future__ import annotations

from archiver.records.base import Unavailable
from archiver.records.dataset import ClassDistribution, DatasetStats
from archiver.report.values import known

MAXIMAL_SPLITS_DRAWN = 3
MAXIMAL_OUTPUTS_DRAWN = 3
"""Of each kind."""

_MAIN_SPLITS = ("train", "validation", "test")


def drawn_splits(stats: DatasetStats) -> dict[str, dict[str, int]]:
    """Samples per class of the splits that are drawn: those of the first phase and the test data before others."""
    found = {name: known(split.classes, {}) for name, split in stats.splits.items() if split.same_as is None}
    counts = {name: part.counts for name, classes in found.items() if (part := _first_distribution(classes))}
    order = [name for name in _MAIN_SPLITS if name in counts] + [name for name in counts if name not in _MAIN_SPLITS]
    return {name: dict(counts[name]) for name in order[:MAXIMAL_SPLITS_DRAWN] if counts[name]}


def _first_distribution(classes: dict[str, ClassDistribution | Unavailable]) -> ClassDistribution | None:
    return next((part for part in classes.values() if isinstance(part, ClassDistribution)), None)

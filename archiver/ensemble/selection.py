"""Greedy ensemble selection by hill climbing, with replacement.

R. Caruana, A. Niculescu-Mizil, G. Crew, A. Ksikes: "Ensemble selection from libraries of models", ICML 2004,
https://doi.org/10.1145/1015330.1015432, section 2.1 (selection with replacement). The ensemble is the mean of its
members' probabilities; a model that is in it twice counts twice. Here the library grows: whenever a candidate joins it,
the climb goes on from the ensemble there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from archiver.ensemble.scores import Labels, Metric, Probabilities, score


@dataclass
class Selection:
    """An ensemble over a growing library of models, and the score it has on the selection data."""

    metric: Metric
    labels: Labels
    """Of the selection data."""
    tolerance: float = 0.0
    """What a step must gain at least, beyond rounding."""
    maximal_steps: int = 10
    """Steps of one climb."""
    library: dict[str, Probabilities] = field(default_factory=dict)
    members: dict[str, int] = field(default_factory=dict)
    """How often each model is in the ensemble, in the order they came."""
    score: float | None = None
    """Of the ensemble; None: it is empty."""

    def add(self, name: str, probabilities: Probabilities) -> float:
        """A model joins the library; its own score."""
        self.library[name] = probabilities
        return score(self.metric, self.labels, probabilities)

    def climb(self) -> list[str]:
        """Add models, the best one each time, as long as the score rises by more than the tolerance."""
        added: list[str] = []
        while self.library and len(added) < self.maximal_steps:
            name, found = self._best_step()
            if self.score is not None and found <= self.score + max(self.tolerance, float(np.finfo(float).eps)):
                break
            self.members[name] = self.members.get(name, 0) + 1
            self.score = found
            added.append(name)
        return added

    def _best_step(self) -> tuple[str, float]:
        """The model with which the score is best, the first of equals, and that score."""
        total, count = _sum(self.library, self.members), sum(self.members.values())
        scores = {
            name: score(self.metric, self.labels, (total + each) / (count + 1)) for name, each in self.library.items()
        }
        name = max(scores, key=scores.__getitem__)
        return name, scores[name]


def mean_probabilities(library: Mapping[str, Probabilities], members: Mapping[str, int]) -> Probabilities:
    """The mean over the members, each as often as it is in; there is at least one."""
    return _sum(library, members) / sum(members.values())


def _sum(library: Mapping[str, Probabilities], members: Mapping[str, int]) -> Probabilities:
    total = np.zeros_like(next(iter(library.values())), np.float64)
    for name, count in members.items():
        total += count * library[name]
    return total

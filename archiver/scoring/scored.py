"""What scoring one output gives, before its intervals are made."""

from __future__ import annotations

from dataclasses import dataclass

from archiver.records.base import Unavailable
from archiver.records.scores import ClassScores, OutputKind, RegressionScores
from archiver.scoring.bootstrap import Statistic
from archiver.scoring.elements import Elements

Values = dict[str, float | Unavailable]
"""Headline scores by name."""

NO_PROBABILITIES = Unavailable(unavailable="the outputs are no probabilities")


@dataclass(frozen=True)
class Scored:
    """The scores of one output."""

    outputs_are: OutputKind
    evidence: tuple[str, ...]
    threshold: float | None
    elements: Elements
    values: Values
    statistics: list[Statistic]
    details: ClassScores | RegressionScores

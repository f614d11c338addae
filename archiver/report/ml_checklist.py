"""What an archive answers of the Machine Learning Reproducibility Checklist, version 2.0.

Pineau et al. 2021, Improving Reproducibility in Machine Learning Research, JMLR 22(164), appendix. Its questions on
models, theory and the range of experiments concern the paper; those here are about one training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from archiver.report.markdown import Safe
from archiver.report.values import known, test_scores_of

Records = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """One question of the checklist."""

    group: str
    question: str
    place: Safe
    """Where the archive answers it; empty: it does not."""


def _splits(records: Records) -> dict[str, Any]:
    return getattr(records["dataset_stats"], "splits", None) or {}


def _preprocessing(records: Records) -> Any:
    found = records["preprocessing"]
    return found is not None and (found.description or found.layers or found.data_sets)


def _test(records: Records) -> Any:
    return known(getattr(records["results"], "test", None))


def _formats(records: Records) -> bool:
    weights = records["weights"]
    return weights is not None and any(part.file for part in weights.formats.values())


def _intervals(records: Records) -> bool:
    scores = test_scores_of(records["results"]).values()
    return any(known(each) is not None for score in scores for each in score.intervals.values())


_RESULTS, _STATS = "results/*_results.json", "results/*_dataset_stats.json"
_QUESTIONS: tuple[tuple[str, str, str, Callable[[Records], Any]], ...] = (
    ("Data", "relevant statistics, such as the number of examples", _STATS, lambda found: found["dataset_stats"]),
    ("Data", "details of train, validation and test splits", _STATS, lambda found: len(_splits(found)) > 1),
    ("Data", "all preprocessing steps", "configs/*_preprocessing.json", _preprocessing),
    ("Data", "a link to the data set", _STATS, lambda found: getattr(found["dataset_stats"], "source", None)),
    ("Code", "specification of dependencies", "environment/packages.json", lambda found: found["packages"]),
    ("Code", "training code", "environment/source/", lambda found: getattr(found["source"], "files", None)),
    ("Code", "evaluation code", "`finalize` calls `model.evaluate`", _test),
    ("Code", "trained models", "models/", _formats),
    ("Code", "the command to run", "configs/*_run.json", lambda found: known(getattr(found["run"], "command", None))),
    ("Results", "hyper-parameters", "configs/", lambda found: found["train_config"] and found["optimizer_config"]),
    ("Results", "the measures that are reported", "results/*_test_scores.json", lambda found: found["test_scores"]),
    ("Results", "a measure of variation", _RESULTS, _intervals),
    ("Results", "the runtime", _RESULTS, lambda found: found["results"]),
    ("Results", "the computing infrastructure", "environment/system.json", lambda found: found["system"]),
)


def answers(records: Records) -> list[Answer]:
    """The questions in the order of the checklist."""
    return [
        Answer(group, question, Safe(_marked(place) if ask(records) else ""))
        for group, question, place, ask in _QUESTIONS
    ]


def _marked(place: str) -> str:
    return place if "`" in place else f"`{place}`"

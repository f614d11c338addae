"""The training and the evaluation as actions: what was run when, on what, with which outcome."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from archiver import layout
from archiver.archive.status import Status
from archiver.archive.summary import counted
from archiver.report.crate.files import file_references
from archiver.report.crate.graph import Graph, Reference, first_values, local, moment, text
from archiver.report.crate.inputs import add_data, add_parents, add_settings
from archiver.report.crate.software import add_environment
from archiver.report.snippets import command_line
from archiver.report.values import known, test_scores_of

TRAINING = "#training"
"""Identifier of the training."""

_COMPLETED, _FAILED = "http://schema.org/CompletedActionStatus", "http://schema.org/FailedActionStatus"

_CONFIGURATION = (
    layout.MODEL_CONFIG, layout.TRAIN_CONFIG, layout.OPTIMIZER_CONFIG, layout.PREPROCESSING,
)  # fmt: skip
_TRAINED = (
    *layout.MODEL_FORMATS.values(), layout.BEST_WEIGHTS, layout.WEIGHTS, layout.CHECKPOINT_STATE,
    layout.CHECKPOINT_VARIABLES, layout.RESULTS, layout.HISTORY, layout.DATASET_STATS, layout.TELEMETRY,
    layout.STEPS, layout.MEMORY_TRACE, layout.UTILISATION_TRACE, layout.TEMPERATURE_TRACE, layout.TRACES,
)  # fmt: skip
_EVALUATED = (layout.TEST_SCORES, layout.PREDICTIONS)
_MODELS = tuple(layout.MODEL_FORMATS.values())


@dataclass(frozen=True)
class Scene:
    """What both actions have in common."""

    name: str
    """Of the run."""
    status: Status
    records: dict[str, Any]
    paths: Collection[str]
    agents: list[Reference]
    instrument: Reference

    def files(self, entries: tuple[layout.ArchiveFile, ...]) -> list[Reference]:
        """References to those files of the table that are there."""
        return file_references(path for path in sorted(self.paths) if layout.entry_for(path, self.name) in entries)


def add_training(graph: Graph, scene: Scene) -> tuple[Reference, list[Reference]]:
    """The training; also the runs that it went on from."""
    records = scene.records
    results = records["results"]
    parents = add_parents(graph, results)
    data = add_data(graph, records, tested=False)
    settings = add_settings(graph, records)
    action = graph.add(
        TRAINING,
        "CreateAction",
        name=f"Training of {scene.name}",
        description=_training_text(records),
        startTime=moment(results.started) if results is not None else None,
        endTime=moment(results.ended) if results is not None else None,
        agent=scene.agents,
        instrument=scene.instrument,
        object=[*data, *parents, *scene.files(_CONFIGURATION), *settings],
        result=scene.files(_TRAINED) or file_references([layout.JOURNAL.pattern]),
        environment=add_environment(graph, records["system"]),
        **_outcome(scene.status),
    )
    return action, parents


def _training_text(records: dict[str, Any]) -> str:
    results, command = records["results"], command_line(records["run"])
    told = ["model.fit of Keras"]
    if results is not None:
        told.append(f"{counted(results.epoch_count, 'epoch')} in {counted(results.phase_count, 'phase')}")
        told += [f"ended by: {results.stop_reason}"] if results.stop_reason else []
    return "; ".join([*told, f"started as: {command}"] if command else told)


def _outcome(status: Status) -> dict[str, str]:
    if status.status == "complete":
        return {"actionStatus": _COMPLETED}
    error = status.exception
    what = f"{error.type}: {error.message}" if error is not None else status.note or "it did not come to its end"
    return {"actionStatus": _FAILED, "error": f"{status.status}: {what}"}


def add_evaluation(graph: Graph, scene: Scene) -> tuple[Reference, list[Reference]] | None:
    """The evaluation on test data, if there was one; also its scores."""
    results = scene.records["results"]
    test = known(results.test) if results is not None else None
    if test is None:
        return None
    scores = [graph.value(*score) for score in first_values(_scores(results, test))]
    action = graph.add(
        "#evaluation",
        "CreateAction",
        name=f"Evaluation of {scene.name} on test data",
        description=f"loss, metrics and scores of the final weights, digest {test.weights_digest}",
        endTime=moment(test.evaluated),
        agent=scene.agents,
        instrument=scene.instrument,
        object=[*add_data(graph, scene.records, tested=True), *scene.files(_MODELS)],
        result=[*scene.files(_EVALUATED), *scores] or scene.files((layout.RESULTS,)),
        actionStatus=_COMPLETED,
    )
    return action, scores


def _scores(results: Any, test: Any) -> list[tuple[str, str, Any, str]]:
    """Identifier, name, value and description: the metrics as compiled, then the scores of each output."""
    found = [
        (local("test", "compiled", name), f"test {name}", value, "from model.evaluate, as compiled")
        for name, value in test.metrics.items()
    ]
    outputs = test_scores_of(results)
    for output, score in outputs.items():
        of = f" of {output}" if len(outputs) > 1 else ""
        found += [
            (local("test", output, name), f"test {name}{of}", value, _score_text(score, name))
            for name, value in score.values.items()
            if isinstance(value, float)
        ]
    return found


def _score_text(score: Any, name: str) -> str:
    told = f"{score.decision.task.replace('_', '-')}, {counted(score.sample_count, 'sample')}"
    interval = known(score.intervals.get(name))
    if interval is None or not math.isfinite(interval.low) or not math.isfinite(interval.high):
        return text(told)
    level = known(score.bootstrap)
    share = f"{100 * level.confidence_level:g} % " if level is not None else ""
    return text(f"{told}; {share}confidence interval {interval.low:.4g} to {interval.high:.4g}")

"""Whether the records of the model agree with each other and with the journal: sizes, operations, phases."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from archiver import layout
from archiver.archive.inspection import Inspection
from archiver.records.base import Record, Unavailable
from archiver.records.model import FlopsPart, ModelConfig, ParameterCounts, PhaseWeights, WeightsTable
from archiver.storage.dtypes import dtype_bytes
from archiver.storage.journal import JournalContents, events_named

Disagree = Callable[[Inspection, str, str], None]
Fault = tuple[str, str]
"""JSON pointer, what is wrong."""


def check_model(
    inspection: Inspection, journal: JournalContents | None, records: dict[str, Record], disagree: Disagree
) -> None:
    """Report where architecture, table of weights and journal contradict each other."""
    model: Any = records.get("model_config")
    weights: Any = records.get("weights")
    name = inspection.run.name
    if model is not None:
        for pointer, message in _faults_of_model(model, weights):
            disagree(inspection, f"{layout.MODEL_CONFIG.path(name)}#{pointer}", message)
    if weights is not None and journal is not None:
        for pointer, message in _faults_of_phases(weights, journal):
            disagree(inspection, f"{layout.WEIGHTS.path(name)}#{pointer}", message)


def _faults_of_model(model: ModelConfig, weights: WeightsTable | None) -> Iterator[Fault]:
    if weights is not None and isinstance(model.parameters, ParameterCounts):
        sizes = [math.prod(variable.shape) for variable in weights.variables]
        yield from _unequal("/parameters/total", model.parameters.total, sum(sizes), "table of weights")
        taken = sum(size * dtype_bytes(variable.dtype) for size, variable in zip(sizes, weights.variables, strict=True))
        if not isinstance(model.weights_bytes, Unavailable):
            yield from _unequal("/weights_bytes", model.weights_bytes, taken, "table of weights")
    own = [layer for layer in model.layers if layer.depth == 0]
    if not model.layers_left_out:
        yield from _unequal("/layer_count", model.layer_count, len(own), "the layers themselves")
    if isinstance(model.flops, FlopsPart) and not model.layers_left_out and not model.flops.not_counted:
        counts = [layer.flops_per_sample for layer in own if not isinstance(layer.flops_per_sample, Unavailable)]
        yield from _unequal("/flops/per_sample", model.flops.per_sample, sum(counts), "the layers together")


def _unequal(pointer: str, received: int, expected: int, where: str) -> Iterator[Fault]:
    if received != expected:
        yield pointer, f"received {received}, expected {expected} ({where})"


def _faults_of_phases(weights: WeightsTable, journal: JournalContents) -> Iterator[Fault]:
    """Of a phase that was completed the journal tells what was saved; a kill may come between the table and that."""
    saved = events_named(journal, "models_saved")
    digests = [(event.details.get("phase"), event.details.get("weights_digest")) for event in saved]
    ends = (event.details for event in events_named(journal, "status"))
    completed = [details.get("phase") for details in ends if details.get("status") == "complete"]
    for position, part in enumerate(weights.phases):
        pointer = f"/phases/{position}"
        final = part.final_weights_digest
        is_told = part.phase in completed and not isinstance(final, Unavailable)
        if is_told and (part.phase, final) not in digests:
            yield f"{pointer}/final_weights_digest", f"the journal tells of no such models saved in phase {part.phase}"
        if _contradicts_itself(part):
            yield f"{pointer}/change/change_norm", "the digests are those of the same weights, and yet they changed"


def _contradicts_itself(part: PhaseWeights) -> bool:
    same = part.initial_weights_digest == part.final_weights_digest and isinstance(part.initial_weights_digest, str)
    return same and not isinstance(part.change, Unavailable) and part.change.change_norm > 0

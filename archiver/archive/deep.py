"""`verify --deep`: every tensor against its recorded digest, without loading a model.

Those in the model files and the checkpoint, and the predictions on the test data where all of them are stored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from archiver import layout
from archiver.archive.inspection import Inspection
from archiver.errors import ArchiverError
from archiver.records.base import Unavailable
from archiver.records.model import VariablePart, WeightsTable
from archiver.records.results import TestArrayPart, TestResults
from archiver.records.training import CheckpointState
from archiver.storage.reading import open_below, require_stored
from archiver.storage.tensors import Tensors, open_tensors

CHECKPOINT_GROUPS = ("optimizer", "metrics", "model", "seed_generators")


def check_tensors(inspection: Inspection) -> None:
    """Compare the tensors of the export formats and of the checkpoint."""
    run = inspection.run
    try:
        table = run.read_if_there(layout.WEIGHTS)
        checkpoint = run.read_if_there(layout.CHECKPOINT_STATE)
        results = run.read_if_there(layout.RESULTS)
    except ArchiverError:
        return  # reported with the records
    if table is not None:
        for name, part in table.formats.items():
            if part.file is not None and part.file in inspection.sizes:
                _check_format(inspection, table, name, part.file)
    if checkpoint is not None:
        _check_checkpoint(inspection, checkpoint)
    if results is not None and isinstance(results.test, TestResults):
        _check_predictions(inspection, results.test)


def _check_format(inspection: Inspection, table: WeightsTable, name: str, file: str) -> None:
    expected = {variable.locations[name]: variable for variable in table.variables if name in variable.locations}
    _compare(inspection, file, name, expected)
    for index, reason in table.formats[name].not_comparable.items():
        position = int(index) if index.isdecimal() else -1
        path = table.variables[position].path if 0 <= position < len(table.variables) else index
        inspection.inform("not_comparable", file, f"{path}: {reason}")


def _check_checkpoint(inspection: Inspection, state: CheckpointState) -> None:
    file = layout.CHECKPOINT_VARIABLES.path(inspection.run.name)
    if file not in inspection.sizes:
        inspection.find("missing", file, "there is a checkpoint without its arrays")
        return
    expected: dict[str, VariablePart] = {}
    for group in CHECKPOINT_GROUPS:
        variables: Any = getattr(state, group)
        expected |= {f"{group}/{variable.index}": variable for variable in variables}
    _compare(inspection, file, "npz", expected)


def _check_predictions(inspection: Inspection, test: TestResults) -> None:
    """Predictions, targets and weights of the test data, where all samples are in the file."""
    file = layout.PREDICTIONS.path(inspection.run.name)
    if isinstance(test.predictions, Unavailable) or test.predictions_file != file or file in inspection.excused:
        return
    if file not in inspection.sizes:
        inspection.find("missing", file, "there are test results without their predictions")
        return
    digests = {part.output: part.sha256 for part in test.predictions if part.stored_count == part.shape[0]}
    for part in test.predictions:
        for array in (part.target, part.sample_weight):
            if isinstance(array, TestArrayPart) and part.stored_count == array.shape[0]:
                digests[array.array] = array.sha256
    _compare_digests(inspection, file, "npz", {name: (f"array {name}", digest) for name, digest in digests.items()})


def _compare(inspection: Inspection, file: str, form: Any, expected: Mapping[str, VariablePart]) -> None:
    if not expected:
        return  # such a file may be in a form that is not read at all, which is no fault
    _compare_digests(inspection, file, form, {place: _named(place, each) for place, each in expected.items()})


def _named(location: str, variable: VariablePart) -> tuple[str, str]:
    layer = f" of layer {variable.layer}" if variable.layer else ""
    return f"tensor {location} (variable {variable.path}{layer})", variable.sha256


def _compare_digests(inspection: Inspection, file: str, form: str, expected: dict[str, tuple[str, str]]) -> None:
    """By location: what messages call the tensor, and its SHA-256."""
    try:
        with open_below(inspection.run.path, file) as opened, contextlib.ExitStack() as stack:
            require_stored(opened, file)
            tensors = stack.enter_context(open_tensors(opened, form, where=file))
            for location, (what, digest) in expected.items():
                received = _digest(inspection, tensors, location, (file, what))
                if received not in (None, digest):
                    inspection.find("tensor", file, f"{what} is not the recorded one")
    except (ArchiverError, OSError) as error:
        inspection.find("tensor", file, f"its tensors cannot be read: {error}")


def _digest(inspection: Inspection, tensors: Tensors, location: str, where: tuple[str, str]) -> str | None:
    """Of a tensor; None where it cannot be read, which is reported with the file and the name in `where`."""
    try:
        digest = tensors.digest(location)
    except ArchiverError as error:
        inspection.find("tensor", where[0], f"{where[1]} cannot be read: {error}")
        return None
    inspection.tensors_checked += 1
    return digest

"""`verify --deep`: every tensor inside every model file against its recorded digest, without loading a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archiver import layout
from archiver.archive.inspection import Inspection
from archiver.errors import ArchiverError
from archiver.records.model import VariablePart, WeightsTable
from archiver.records.training import CheckpointState
from archiver.storage.reading import open_below
from archiver.storage.tensors import open_tensors

CHECKPOINT_GROUPS = ("optimizer", "metrics", "model", "seed_generators")


def check_tensors(inspection: Inspection) -> None:
    """Compare the tensors of the export formats and of the checkpoint."""
    run = inspection.run
    try:
        table = run.read_if_there(layout.WEIGHTS)
        checkpoint = run.read_if_there(layout.CHECKPOINT_STATE)
    except ArchiverError:
        return  # reported with the records
    if table is not None:
        for name, part in table.formats.items():
            if part.file is not None and part.file in inspection.sizes:
                _check_format(inspection, table, name, part.file)
    if checkpoint is not None:
        _check_checkpoint(inspection, checkpoint)


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


def _compare(inspection: Inspection, file: str, form: Any, expected: Mapping[str, VariablePart]) -> None:
    if not expected:
        return  # such a file may be in a form that is not read at all, which is no fault
    try:
        with open_below(inspection.run.path, file) as opened, open_tensors(opened, form, where=file) as tensors:
            for location, variable in expected.items():
                _compare_tensor(inspection, file, tensors, location, variable)
    except (ArchiverError, OSError) as error:
        inspection.find("tensor", file, f"its tensors cannot be read: {error}")


def _compare_tensor(inspection: Inspection, file: str, tensors: Any, location: str, variable: VariablePart) -> None:
    layer = f" of layer {variable.layer}" if variable.layer else ""
    what = f"tensor {location} (variable {variable.path}{layer})"
    try:
        digest = tensors.digest(location)
    except ArchiverError as error:
        inspection.find("tensor", file, f"{what} cannot be read: {error}")
        return
    inspection.tensors_checked += 1
    if digest != variable.sha256:
        inspection.find("tensor", file, f"{what} is not the recorded one")

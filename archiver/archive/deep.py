"""`verify --deep`: every tensor against its recorded digest, without loading a model.

Those in the model files and the checkpoint, and the predictions on the test data where all of them are stored.
"""

from __future__ import annotations

import contextlib

from archiver import layout
from archiver.archive.diagnosis import Diagnosis, unreadable
from archiver.archive.inspection import Inspection
from archiver.archive.tensor_tables import TensorRecords, TensorTable, tensor_tables
from archiver.errors import ArchiverError
from archiver.records.base import Unavailable
from archiver.records.results import TestResults
from archiver.storage.tensors import Tensors, open_tensors


def check_tensors(inspection: Inspection, *, deep: bool) -> None:
    """Compare the tensors of the files whose bytes were changed; with `deep`, of all files."""
    records = TensorRecords.of(inspection.run)
    tables = tensor_tables(inspection.run, records)
    inspection.unfetched.fetch({*inspection.damaged, *tables})
    diagnosis = Diagnosis(inspection, records, tables)
    for file in sorted(inspection.damaged):
        diagnosis.explain(file)
    if deep:
        for file, table in tables.items():
            if file not in inspection.damaged and _is_wanted(inspection, records, table):
                _check_file(inspection, table)
        _say_what_is_not_comparable(inspection, records)


def _is_wanted(inspection: Inspection, records: TensorRecords, table: TensorTable) -> bool:
    if table.file in inspection.sizes:
        return table.file != layout.PREDICTIONS.path(inspection.run.name) or _has_predictions(inspection, records)
    if table.file == layout.CHECKPOINT_VARIABLES.path(inspection.run.name):
        inspection.find("missing", table.file, "there is a checkpoint without its arrays")
    elif table.file == layout.PREDICTIONS.path(inspection.run.name) and _has_predictions(inspection, records):
        inspection.find("missing", table.file, "there are test results without their predictions")
    return False


def _has_predictions(inspection: Inspection, records: TensorRecords) -> bool:
    test = records.results.test if records.results is not None else None
    file = layout.PREDICTIONS.path(inspection.run.name)
    if not isinstance(test, TestResults) or isinstance(test.predictions, Unavailable):
        return False
    return test.predictions_file == file and file not in inspection.excused


def _say_what_is_not_comparable(inspection: Inspection, records: TensorRecords) -> None:
    table = records.weights
    for part in table.formats.values() if table is not None else ():
        if table is None or part.file is None or part.file not in inspection.sizes:
            continue
        for index, reason in part.not_comparable.items():
            position = int(index) if index.isdecimal() else -1
            path = table.variables[position].path if 0 <= position < len(table.variables) else index
            inspection.inform("not_comparable", part.file, f"{path}: {reason}")


def _check_file(inspection: Inspection, table: TensorTable) -> None:
    if not table.recorded:
        return  # such a file may be in a form that is not read at all, which is no fault
    file = table.file
    try:
        with inspection.open_stored(file) as opened, contextlib.ExitStack() as stack:
            tensors = stack.enter_context(open_tensors(opened, table.form, where=file))
            for location, recorded in table.recorded.items():
                received = _digest(inspection, tensors, location, (file, recorded.what))
                if received not in (None, recorded.sha256):
                    inspection.find("tensor", file, f"{recorded.what} is not the recorded one")
    except (ArchiverError, OSError) as error:
        inspection.find("tensor", file, unreadable(file, error))


def _digest(inspection: Inspection, tensors: Tensors, location: str, where: tuple[str, str]) -> str | None:
    """Of a tensor; None where it cannot be read, which is reported with the file and the name in `where`."""
    try:
        digest = tensors.digest(location)
    except ArchiverError as error:
        inspection.find("tensor", where[0], f"{where[1]} cannot be read: {error}")
        return None
    inspection.tensors_checked += 1
    return digest

"""What the records say of the tensors in each file: the digest of each, by its location."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from archiver import layout
from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.layout import RecordFile
from archiver.records.base import Unavailable
from archiver.records.model import VariablePart, WeightsTable
from archiver.records.results import BestEpoch, Results, TestArrayPart, TestResults
from archiver.records.training import CheckpointState
from archiver.storage.digests import canonical_json
from archiver.storage.tensors import Tensors

CHECKPOINT_GROUPS = ("optimizer", "metrics", "model", "seed_generators")
NPZ = "npz"
OPTIMIZER_GROUPS = {"keras": "optimizer/vars", "weights.h5": "optimizer/vars", "h5": "optimizer_weights"}
"""Where Keras' formats keep the optimizer: by number, in `.h5` by path. No record says so; it is checked by digests."""


@dataclass(frozen=True)
class RecordedTensor:
    """One tensor as a record describes it."""

    what: str
    """What messages call it: its location, the variable and the layer."""
    sha256: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class TensorTable:
    """The tensors of one file."""

    file: str
    form: str
    """As `archiver.storage.tensors.open_tensors` calls it."""
    recorded: dict[str, RecordedTensor] = field(default_factory=dict)
    """By location."""
    derived: dict[str, RecordedTensor] = field(default_factory=dict)
    """By the location where Keras is known to keep them."""


@dataclass(frozen=True)
class TensorRecords:
    """The records that tell of tensors; None for what is missing or cannot be read."""

    weights: WeightsTable | None
    checkpoint: CheckpointState | None
    results: Results | None

    @classmethod
    def of(cls, run: Run) -> TensorRecords:
        """Those of a run."""
        return cls(_read(run, layout.WEIGHTS), _read(run, layout.CHECKPOINT_STATE), _read(run, layout.RESULTS))


def _read(run: Run, file: RecordFile[Any]) -> Any:
    try:
        return run.read_if_there(file)
    except ArchiverError:
        return None  # reported with the records


def tensor_tables(run: Run, records: TensorRecords) -> dict[str, TensorTable]:
    """By file, all files of which the records tell, whether they are there or not."""
    found: list[TensorTable] = []
    if records.weights is not None:
        found += [
            _of_format(records, name, part.file)
            for name, part in records.weights.formats.items()
            if part.file is not None and name in OPTIMIZER_GROUPS
        ]
    if records.checkpoint is not None:
        found.append(_of_checkpoint(run, records.checkpoint))
    if records.results is not None and isinstance(records.results.test, TestResults):
        found.append(_of_predictions(run, records.results.test))
    return {table.file: table for table in found}


def _of_format(records: TensorRecords, name: str, file: str) -> TensorTable:
    assert records.weights is not None
    recorded = {
        variable.locations[name]: described(variable.locations[name], variable)
        for variable in records.weights.variables
        if name in variable.locations
    }
    variables = records.checkpoint.optimizer if records.checkpoint is not None else ()
    group = OPTIMIZER_GROUPS[name]
    places = {f"{group}/{variable.path if name == 'h5' else variable.index}": variable for variable in variables}
    derived = {place: described(place, variable) for place, variable in places.items() if place not in recorded}
    return TensorTable(file, name, recorded, derived)


def _of_checkpoint(run: Run, state: CheckpointState) -> TensorTable:
    recorded: dict[str, RecordedTensor] = {}
    for group in CHECKPOINT_GROUPS:
        variables: tuple[VariablePart, ...] = getattr(state, group)
        places = {f"{group}/{variable.index}": variable for variable in variables}
        recorded |= {place: described(place, variable) for place, variable in places.items()}
    return TensorTable(layout.CHECKPOINT_VARIABLES.path(run.name), NPZ, recorded)


def _of_predictions(run: Run, test: TestResults) -> TensorTable:
    """Predictions, targets and weights of the test data, where all samples are in the file."""
    recorded: dict[str, RecordedTensor] = {}
    for part in () if isinstance(test.predictions, Unavailable) else test.predictions:
        arrays = {part.output: part} if part.stored_count == part.shape[0] else {}
        for array in (part.target, part.sample_weight):
            if isinstance(array, TestArrayPart) and part.stored_count == array.shape[0]:
                arrays[array.array] = array  # type: ignore[assignment]
        recorded |= {
            name: RecordedTensor(f"array {name}", array.sha256, array.dtype, array.shape)
            for name, array in arrays.items()
        }
    return TensorTable(layout.PREDICTIONS.path(run.name), NPZ, recorded)


def described(location: str, variable: VariablePart) -> RecordedTensor:
    """A variable at a location, with the words for it."""
    layer = f" of layer {variable.layer}" if variable.layer else ""
    what = f"tensor {location} (variable {variable.path}{layer})"
    return RecordedTensor(what, variable.sha256, variable.dtype, variable.shape)


def digest_at(tensors: Tensors, table: WeightsTable, name: str) -> str | None:
    """The weights digest of what a file holds where `table` says that the format `name` keeps each variable.

    Returns:
        None where the table does not say so of each of them.

    Raises:
        DamagedFileError: a tensor cannot be read.
    """
    digest = sha256()
    for variable in table.variables:
        if name not in variable.locations:
            return None
        header = {"index": variable.index, "dtype": variable.dtype, "shape": list(variable.shape)}
        encoded = canonical_json(header)
        digest.update(struct.pack("<Q", len(encoded)) + encoded)
        for data in tensors.blocks(variable.locations[name]):
            digest.update(data)
    return digest.hexdigest()


def best_digest(results: Results | None) -> str | None:
    """The weights digest of the best epoch, where its weights have a file of their own."""
    best = results.best_epoch if results is not None else None
    if isinstance(best, BestEpoch) and best.file is not None and isinstance(best.weights_digest, str):
        return best.weights_digest
    return None

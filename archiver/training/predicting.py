"""Predictions on the test data, with the targets and weights that belong to them, in bounded memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from archiver.collect.data import as_array, named_arrays
from archiver.collect.numbers import little_endian, raw_bytes
from archiver.errors import DataError
from archiver.training.evaluation_data import EvaluationData

Array = NDArray[Any]


MAXIMAL_GATHERED_BYTES = 4 << 30
"""Predictions, targets and weights that are held in memory together, to be scored; of what goes beyond, the first rows
are held, and the digest covers all."""
CHUNK_SAMPLES = 8192
"""Of arrays, predicted by one call of `model.predict`."""


@dataclass
class Room:
    """What may still be held, shared by all arrays."""

    left_bytes: int
    first_bytes: int
    """Of each array, held whatever its size."""

    def take(self, size_bytes: int) -> bool:
        """Whether there is room for so much; it is taken in either case."""
        self.left_bytes -= size_bytes
        return self.left_bytes >= 0


class Rows:
    """The rows of one array, batch after batch: a digest of all; the rows themselves while there is room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._digest = hashlib.sha256()
        self._blocks: list[Array] = []
        self.count = 0
        self.row_shape: tuple[int, ...] = ()
        self.dtype = np.dtype(np.float32)
        self.is_complete = True
        """Whether all rows are held, not only the first."""
        self.fault: str | None = None
        """Why they cannot be used."""

    def add(self, block: Array) -> None:
        """Add rows.

        Raises:
            DataError: they are no numbers or texts, or of another shape than those before.
        """
        if block.dtype.kind == "O" or not block.ndim:
            raise DataError(f"they are {block.dtype} of the shape {block.shape}, no rows of numbers")
        if self.count and (block.shape[1:], block.dtype) != (self.row_shape, self.dtype):
            raise DataError(f"batches differ: {self.row_shape} {self.dtype} and {block.shape[1:]} {block.dtype}")
        self.row_shape, self.dtype = block.shape[1:], block.dtype
        self.count += len(block)
        self._digest.update(raw_bytes(_little_endian(block)))
        if self.is_complete:
            self._blocks.append(block)
            self.is_complete = self._room.take(block.nbytes)
            if not self.is_complete:
                self._hold_first_rows()

    def _hold_first_rows(self) -> None:
        self._room.left_bytes += sum(block.nbytes for block in self._blocks)
        wanted = self._room.first_bytes // max(1, self.row_bytes)
        self._blocks = [np.concatenate([block[:wanted] for block in self._blocks])[:wanted]]

    @property
    def row_bytes(self) -> int:
        """Of one row."""
        return int(np.prod(self.row_shape)) * self.dtype.itemsize

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all rows."""
        return (self.count, *self.row_shape)

    @property
    def sha256(self) -> str:
        """Of all rows, little-endian, C order."""
        return self._digest.hexdigest()

    def held(self) -> Array:
        """The rows that are held, as one array; made without holding them twice."""
        if len(self._blocks) != 1:
            whole = np.empty((sum(len(block) for block in self._blocks), *self.row_shape), self.dtype)
            end = len(whole)
            while self._blocks:
                block = self._blocks.pop()
                whole[end - len(block) : end] = block
                end -= len(block)
            self._blocks = [whole]
        return self._blocks[0]


def _little_endian(array: Array) -> Array:
    little = little_endian(array)
    return np.ascontiguousarray(little)


class Gathered:
    """The rows by their places in what the model returns, and in the test data."""

    def __init__(self, first_bytes: int) -> None:
        self._room = Room(MAXIMAL_GATHERED_BYTES, first_bytes)
        self.outputs: dict[str, Rows] = {}
        self.targets: dict[str, Rows] = {}
        self.weights: dict[str, Rows] = {}
        self.structure: Any = None
        """What the model returned for the first batch."""

    def add_outputs(self, structure: Any) -> None:
        """Add what the model returned for one batch."""
        if self.structure is None:
            self.structure = structure
        for name, value in named_arrays("output", structure):
            self._rows(self.outputs, name).add(np.asarray(value))

    def add_targets(self, y: Any, sample_weight: Any) -> None:
        """Add targets and weights; what cannot be used says so."""
        for prefix, values, into in (("target", y, self.targets), ("sample_weight", sample_weight, self.weights)):
            for name, value in named_arrays(prefix, values):
                rows = self._rows(into, name)
                try:
                    rows.add(as_array(value))
                except (DataError, TypeError, ValueError) as error:
                    rows.fault = f"{name} cannot be used: {error}"[:300]

    def _rows(self, rows: dict[str, Rows], name: str) -> Rows:
        return rows.setdefault(name, Rows(self._room))


def gather(model: Any, data: EvaluationData, batch_size: int | None, first_bytes: int) -> Gathered:
    """Predict everything in one pass.

    Args:
        model: a model.
        data: arrays, or a data set; its batches are predicted as they come, so that a data set that shuffles gives each
            prediction its own target.
        batch_size: for arrays.
        first_bytes: of each array, held whatever its size.

    Raises:
        DataError: there are no batches, or their outputs differ in shape.
    """
    gathered = Gathered(first_bytes)
    if data.is_arrays:
        gathered.add_targets(data.y, data.sample_weight)
        for structure in _outputs_of_arrays(model, data.x, batch_size):
            gathered.add_outputs(structure)
        return gathered
    for x, y, sample_weight in data.batches():
        gathered.add_outputs(_predict_batch(model, x))
        gathered.add_targets(y, sample_weight)
    if not gathered.outputs:
        raise DataError("the data set has no batches")
    return gathered


def _outputs_of_arrays(model: Any, x: Any, batch_size: int | None) -> Any:
    """What the model returns for parts of the arrays that hold whole batches."""
    count = len(next(value for _, value in named_arrays("x", x)))
    size = batch_size or 32
    step = max(1, CHUNK_SAMPLES // size) * size
    if count <= step:
        yield model.predict(x, batch_size=batch_size, verbose=0)
        return
    for start in range(0, count, step):
        part = keras.tree.map_structure(lambda array, start=start: array[start : start + step], x)
        yield model.predict(part, batch_size=batch_size, verbose=0)


def _predict_batch(model: Any, x: Any) -> Any:
    if keras.backend.backend() != "tensorflow":
        x = keras.tree.map_structure(as_array, x)
    replicas = getattr(getattr(model, "distribute_strategy", None), "num_replicas_in_sync", 1)
    if replicas == 1:
        return model.predict_on_batch(x)
    # predict_on_batch would give the whole batch to each replica, and return all of their outputs
    return model.predict(x, batch_size=len(next(value for _, value in named_arrays("x", x))), verbose=0)

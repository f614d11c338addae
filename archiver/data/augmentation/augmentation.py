"""`Augmentation`: operations one after the other, the same again for the same seed, epoch and window."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.augmentation.operation import Floats, Operation, require_whole
from archiver.data.augmentation.streams import MAXIMAL_SEED, Streams, seeded, split, uniforms
from archiver.data.buffers import BUFFERS
from archiver.errors import ArgumentError, DataError

WINDOW_DIMENSIONS = 3
_LARGEST_BYTES = {"i": 4, "u": 4, "f": 8}
"""By kind of dtype, the largest element; that one is computed in float64, all others in float32."""


class Augmentation:
    """Changes the windows of a batch at random, differently in each epoch.

    What becomes of a window depends on the seed, the epoch and the window's number alone: not on the batch it is in,
    nor on the order, the number of workers, or what was drawn before. It keeps no state, so threads and processes may
    share it.

    Args:
        operations: what is done, in this order.
        seed: 0 to 2**64 - 1.

    Raises:
        ArgumentError: no list of operations, or no such seed.
    """

    def __init__(self, operations: Sequence[Operation], *, seed: int) -> None:
        self.operations = tuple(operations)
        for each in self.operations:
            if not isinstance(each, Operation):
                raise ArgumentError(f"Received {each!r} among the operations. Expected such as TimeMask(20).")
        require_whole("seed", seed, 0, MAXIMAL_SEED)
        self.seed = int(seed)

    @property
    def changes_labels(self) -> bool:
        """Whether an operation changes labels, as Mixing does."""
        return any(type(each).change_labels is not Operation.change_labels for each in self.operations)

    def apply(self, batch: NDArray[Any], numbers: Any, epoch: int) -> NDArray[Any]:
        """The changed windows, a new array of the same shape and dtype.

        Computed in float32, for float64 and integers of 32 bits in float64; integers are rounded to the nearest and
        kept within their range.

        Args:
            batch: floats, or integers of up to 32 bits, shape (batch, channels, samples).
            numbers: of each window in its data set, shape (batch,).
            epoch: counted from 0.

        Raises:
            DataError: the batch has another shape or dtype, or not one number per window.
            ArgumentError: the epoch is negative.
        """
        return self._applied(batch, None, numbers, epoch)[0]

    def apply_with_labels(
        self, batch: NDArray[Any], labels: NDArray[Any], numbers: Any, epoch: int
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """The changed windows, and their labels, which Mixing mixes as it mixes the windows.

        Args:
            batch: as of `apply`.
            labels: one row per window; for Mixing floats, such as one-hot rows.
            numbers: as of `apply`.
            epoch: as of `apply`.

        Raises:
            DataError: as of `apply`, or the labels cannot be mixed.
            ArgumentError: the epoch is negative.
        """
        labels = np.array(labels)
        if labels.ndim < 1 or len(labels) != len(batch):
            raise DataError(f"Received labels of the shape {labels.shape}. Expected one row for each of {len(batch)}.")
        return self._applied(batch, labels, numbers, epoch)[0], labels

    def _applied(
        self, batch: NDArray[Any], labels: NDArray[Any] | None, numbers: Any, epoch: int
    ) -> tuple[NDArray[Any], NDArray[Any] | None]:
        numbers = _checked_numbers(batch, numbers)
        require_whole("epoch", epoch, 0)
        dtype = batch.dtype
        working = BUFFERS.array(batch.shape, np.dtype(_working_dtype(dtype)))
        np.copyto(working, batch)
        for index, operation in enumerate(self.operations):
            streams = self.streams(index, numbers, epoch)
            chosen = _chosen(streams, operation.probability)
            if not len(chosen):
                continue
            part = streams[chosen] if len(chosen) < len(numbers) else streams
            operation.change(working, chosen, part)
            if labels is not None:
                operation.change_labels(labels, chosen, part)
        return _restored(working, dtype), labels

    def streams(self, index: int, numbers: NDArray[np.int64], epoch: int) -> Streams:
        """The random numbers of the operation `index` for windows: split by epoch, then operation, then window."""
        return split(_streams_of_operation(self.seed, epoch, index), numbers)

    def described(self) -> dict[str, Any]:
        """What an archive records of it: everything that is needed to repeat it."""
        return {
            "seed": self.seed,
            "generator": "SplitMix64, split by epoch, operation and window number",
            "operations": [each.described() for each in self.operations],
        }


@functools.lru_cache(256)
def _streams_of_operation(seed: int, epoch: int, index: int) -> Streams:
    return split(split(seeded(seed), [epoch]), [index])


def _chosen(streams: Streams, probability: float) -> NDArray[np.int64]:
    if probability == 1:
        return np.arange(len(streams))
    return np.flatnonzero(uniforms(streams, 1)[:, 0] < probability)


def _checked_numbers(batch: Any, numbers: Any) -> NDArray[np.int64]:
    if not isinstance(batch, np.ndarray) or batch.ndim != WINDOW_DIMENSIONS:
        found = getattr(batch, "shape", type(batch).__name__)
        raise DataError(f"Received a batch of the shape {found}. Expected an array (batch, channels, samples).")
    numbers = np.asarray(numbers)
    if not numbers.size:
        numbers = numbers.astype(np.int64)
    if numbers.shape != (len(batch),) or numbers.dtype.kind not in "iu" or (numbers.size and numbers.min() < 0):
        raise DataError(
            f"Received numbers of the shape {numbers.shape} and dtype {numbers.dtype} for a batch of {len(batch)} "
            "windows. Expected the number of each window in its data set, from 0."
        )
    return np.asarray(numbers, np.int64)


def _working_dtype(dtype: np.dtype[Any]) -> type[np.float32 | np.float64]:
    largest = _LARGEST_BYTES.get(dtype.kind, 0)
    if dtype.itemsize > largest:
        raise DataError(f"Received windows of dtype {dtype}. Expected floats, or integers of up to 32 bits.")
    return np.float64 if dtype.itemsize == largest else np.float32


def _restored(working: Floats, dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "f":
        return working.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    np.rint(working, out=working)
    np.clip(working, limits.min, limits.max, out=working)
    return working.astype(dtype)

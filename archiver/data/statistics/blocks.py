"""Data of any kind as named blocks: what is read at a time stays small."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.collect.data import as_array, named_data
from archiver.collect.numbers import little_endian
from archiver.data.windows import Windows, as_windows
from archiver.errors import ArgumentError, DataError

BLOCK_BYTES = 2 << 20
"""Stays in the processor's cache for all that is done with it."""
READ_BYTES = 8 << 20
"""Read from disk at a time."""

Named = Mapping[str, NDArray[Any]]


def named_blocks(data: Any, labels: Any) -> Iterator[Named]:
    """Blocks of `x`, or `x/...` for several inputs, and of `y` and `sample_weight`, where there are any.

    Args:
        data: an array, a memory map, windows, or batches: a tf.data pipeline, a PyDataset, any iterable of `x`,
            `(x, y)` or `(x, y, sample_weight)`.
        labels: one row per window of arrays and windows, or None.

    Raises:
        ArgumentError: it is none of these, or labels come with batches.
        DataError: it never ends.
    """
    if isinstance(data, np.ndarray | Windows):
        yield from _of_windows(as_windows(data), labels)
        return
    if labels is not None:
        raise ArgumentError("Received labels= with batches. Expected batches of (x, y).")
    for batch in _batches(data):
        parts = batch if isinstance(batch, tuple | list) else (batch,)
        yield {name: _contiguous(value) for name, value in named_data(tuple(parts))}


def total_windows(data: Any) -> int | None:
    """How many windows there are, where that is known before."""
    return int(data.shape[0]) if isinstance(data, np.ndarray | Windows) and data.shape else None


def pieces(block: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """A block in parts of whole windows, each about `BLOCK_BYTES`."""
    rows = max(1, BLOCK_BYTES // max(1, block.nbytes // max(1, len(block))))
    for begin in range(0, len(block), rows):
        yield block[begin : begin + rows]


def _of_windows(windows: Windows, labels: Any) -> Iterator[Named]:
    if not windows.shape:
        raise DataError("Received an array without axes. Expected windows along the first.")
    rows = windows.labels if labels is None else np.asarray(labels)
    if rows is not None and len(rows) != windows.shape[0]:
        raise DataError(f"Received {len(rows)} labels for {windows.shape[0]} windows. Expected as many.")
    window_bytes = max(1, int(np.prod(windows.shape[1:], dtype=np.int64)) * windows.dtype.itemsize)
    step = max(1, READ_BYTES // window_bytes)
    for begin in range(0, windows.shape[0], step):
        end = min(begin + step, windows.shape[0])
        block = {"x": _contiguous(_read(windows, begin, end))}
        yield block if rows is None else block | {"y": rows[begin:end]}


def _read(windows: Windows, begin: int, end: int) -> NDArray[Any]:
    array = getattr(windows, "_array", None)
    if isinstance(array, np.ndarray):  # a view, where it can be one
        found: NDArray[Any] = np.asarray(array[begin:end])
        return found
    return windows.read(np.arange(begin, end))


def _contiguous(value: Any) -> NDArray[Any]:
    return little_endian(np.ascontiguousarray(as_array(value)))


def _batches(data: Any) -> Iterable[Any]:
    count = getattr(data, "num_batches", None)
    if count is not None and hasattr(data, "__getitem__"):  # a PyDataset, which iteration would not end
        return (data[index] for index in range(count))
    cardinality = getattr(data, "cardinality", None)
    if callable(cardinality) and int(cardinality()) == -1:  # tf.data.INFINITE_CARDINALITY
        raise DataError("Received a tf.data pipeline that never ends. Expected one without repeat().")
    if not isinstance(data, Iterable) or isinstance(data, str | bytes | Mapping):
        raise ArgumentError(f"Received {type(data).__name__}. Expected an array, windows, or batches.")
    return data

"""Describing arrays: shapes, ranges, labels, fingerprints."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.records.base import Unavailable
from archiver.records.dataset import ArrayPart

BLOCK_BYTES = 8 << 20
MAXIMAL_CLASSES = 10_000


@dataclass(frozen=True)
class ArraySource:
    """The arrays behind a data set that archiver made; it is set on the data set as `archiver_source`."""

    x: Any
    y: Any
    sample_weight: Any
    batch_size: int
    seed: int | None
    shuffle: bool


def named_arrays(prefix: str, value: Any) -> list[tuple[str, Any]]:
    """The leaves of a structure of dicts, lists and tuples, as `x/image`, `y/0`, in the order of keys and positions."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [leaf for key in value for leaf in named_arrays(f"{prefix}/{key}", value[key])]
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and not _is_numbers(value):
        return [leaf for index, item in enumerate(value) for leaf in named_arrays(f"{prefix}/{index}", item)]
    return [(prefix, value)]


def _is_numbers(value: Sequence[Any]) -> bool:
    return bool(value) and all(isinstance(item, int | float | str) for item in value)


def as_array(value: Any) -> NDArray[Any]:
    """A NumPy array of an array, tensor, data frame or list of numbers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    return np.asarray(value)


def describe_array(name: str, array: NDArray[Any]) -> ArrayPart:
    """Shape, dtype, range, NaN count and fingerprint of an array, in one pass over blocks of rows."""
    digest = hashlib.sha256()
    is_number = array.dtype.kind in "biuf"
    low, high, missing = np.inf, -np.inf, 0
    for block in _blocks(array):
        digest.update(_bytes_of(block))
        if is_number and block.size:
            missing += int(np.count_nonzero(np.isnan(block))) if array.dtype.kind == "f" else 0
            low = min(low, float(np.fmin.reduce(block, axis=None)))
            high = max(high, float(np.fmax.reduce(block, axis=None)))
    nothing = Unavailable(unavailable="has no numbers")
    has_range = is_number and array.size > 0
    return ArrayPart(
        name=name,
        shape=array.shape,
        dtype=str(array.dtype),
        minimum=low if has_range else nothing,
        maximum=high if has_range else nothing,
        missing=missing if is_number else nothing,
        sha256=digest.hexdigest() if array.dtype.kind != "O" else Unavailable(unavailable="holds Python objects"),
    )


def _blocks(array: NDArray[Any]) -> list[NDArray[Any]]:
    if array.ndim == 0:
        return [array.reshape(1)]
    rows = max(1, BLOCK_BYTES // max(1, array.nbytes // max(1, len(array))))
    return [array[start : start + rows] for start in range(0, len(array), rows)]


def _bytes_of(block: NDArray[Any]) -> Any:
    if block.dtype.kind == "O":
        return b""
    little = block.astype(block.dtype.newbyteorder("<")) if block.dtype.byteorder == ">" else block
    return np.ascontiguousarray(little).reshape(-1).view(np.uint8).data


def labels_of(array: NDArray[Any]) -> NDArray[Any] | None:
    """Class numbers of an array of labels: integers, floats that are whole, or one-hot rows; None for anything else."""
    if array.ndim == 2 and array.shape[1] == 1:  # noqa: PLR2004 - a column of labels
        array = array[:, 0]
    if array.ndim == 1 and array.dtype.kind in "iub":
        return array
    if array.ndim == 1 and array.dtype.kind == "f" and np.all((array == 0) | (array == 1)):
        return array.astype(np.int64)
    if array.ndim == 2 and array.dtype.kind in "iubf" and array.shape[0] and _is_one_hot(array):  # noqa: PLR2004
        return np.asarray(array.argmax(axis=1))
    return None


def _is_one_hot(array: NDArray[Any]) -> bool:
    return bool(np.all((array == 0) | (array == 1)) and np.all(array.sum(axis=1) == 1))


def class_counts(array: NDArray[Any]) -> dict[str, int] | Unavailable:
    """Samples per class number."""
    labels = labels_of(array)
    if labels is None:
        return Unavailable(unavailable="the targets are no class labels")
    values, counts = np.unique(labels, return_counts=True)
    if len(values) > MAXIMAL_CLASSES:
        return Unavailable(unavailable=f"the targets have more than {MAXIMAL_CLASSES} different values")
    return {str(int(value)): int(count) for value, count in zip(values, counts, strict=True)}

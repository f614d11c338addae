"""The words data comes in: structures of arrays, arrays of whatever kind, and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ArraySource:
    """The arrays behind a data set that archiver made; it is set on the data set as `archiver_source`."""

    x: Any
    y: Any
    sample_weight: Any
    batch_size: int
    seed: int | None
    shuffle: bool
    drop_remainder: bool = False
    """Whether a last batch that is smaller is left out."""


@dataclass(frozen=True)
class WindowSource:
    """What is known of a data set of `archiver.data.window_batches`; it is set on it as `archiver_source`."""

    sample_count: int
    """Windows in an epoch."""
    batch_count: int
    batch_size: int
    inputs: tuple[tuple[str, tuple[int, ...], str], ...]
    """Name, shape with the windows first, and dtype of each input."""
    blocks: Callable[[str], Iterator[NDArray[Any]]]
    """The windows of an input as they are stored, in the order in which they are fed without shuffling: contiguous
    blocks of whole windows, about a megabyte each."""
    labels: NDArray[Any] | None
    """Of these windows."""
    sample_weight: NDArray[Any] | None
    groups: Mapping[str, NDArray[np.str_]]
    """By kind, to which one each of these windows belongs."""
    described: Any
    """What an archive records of it: JSON."""


def named_arrays(prefix: str, value: Any) -> list[tuple[str, Any]]:
    """The leaves of a structure of dicts, lists and tuples, as `x/image`, `y/0`, in the order of keys and positions."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [leaf for key in value for leaf in named_arrays(f"{prefix}/{key}", value[key])]
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and not _is_numbers(value):
        return [leaf for index, item in enumerate(value) for leaf in named_arrays(f"{prefix}/{index}", item)]
    return [(prefix, value)]


def named_data(data: Sequence[Any]) -> list[tuple[str, Any]]:
    """The leaves of `(x,)`, `(x, y)` or `(x, y, sample_weight)`, by name."""
    return [
        leaf
        for prefix, value in zip(("x", "y", "sample_weight"), data, strict=False)
        for leaf in named_arrays(prefix, value)
    ]


def _is_numbers(value: Sequence[Any]) -> bool:
    return bool(value) and all(isinstance(item, int | float | str) for item in value)


def as_array(value: Any) -> NDArray[Any]:
    """A NumPy array of an array, tensor, data frame or list of numbers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    return np.asarray(value)


def labels_of(array: NDArray[Any]) -> NDArray[Any] | None:
    """Class numbers of an array of labels: integers, floats that are 0 or 1, or one-hot rows; None for others."""
    if array.ndim == 2 and array.shape[1] == 1:  # noqa: PLR2004 - a column of labels
        array = array[:, 0]
    if array.ndim == 1 and array.dtype.kind in "iub":
        return array
    if array.ndim == 1 and array.dtype.kind == "f" and is_zeros_and_ones(array):
        return array.astype(np.int64)
    if array.ndim == 2 and array.dtype.kind in "iubf" and array.shape[0] and _is_one_hot(array):  # noqa: PLR2004
        return np.asarray(array.argmax(axis=1))
    return None


def _is_one_hot(array: NDArray[Any]) -> bool:
    return is_zeros_and_ones(array) and bool(np.all(array.sum(axis=1) == 1))


def is_zeros_and_ones(array: NDArray[Any]) -> bool:
    """Whether all elements are 0 or 1."""
    return bool(np.all((array == 0) | (array == 1)))

"""Test-time augmentation: predictions for several views of the same windows, without copies of the data set."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.augmentation.augmentation import Augmentation
from archiver.data.augmentation.operation import require_whole
from archiver.data.windows import Windows, as_windows
from archiver.errors import ArgumentError, DataError

View = Callable[[Any], Any]
_Batch = tuple[Any, NDArray[np.int64]]


@dataclass(frozen=True)
class ViewPredictions:
    """Predictions over several views of each window, in the structure of the model's outputs.

    `mean` and `standard_deviation` (of the population of views: 0 for one view) have the shape (windows, ...) and the
    dtype of the model's predictions.
    """

    mean: Any
    standard_deviation: Any
    view_count: int


def predict_with_views(
    model: Any,
    data: Any,
    views: Augmentation | Sequence[View],
    count: int | None = None,
    *,
    batch_size: int = 32,
    augmented: str | int | None = None,
) -> ViewPredictions:
    """Predict every window in several views; return the mean and the spread over the views.

    One batch at a time is read, and seen in all views: so the memory needed is that of one batch and of the results,
    whatever the number of views, and the data are read once. Mean and spread are Welford's running ones (Technometrics
    4, 1962, doi:10.1080/00401706.1962.10490022), in float64.

    Args:
        model: a Keras model.
        data: an array or windows, a dict, tuple or list of these for a model with several inputs, or batches: a
            PyDataset, a tf.data pipeline, any iterable of `x`, `(x, y)` or `(x, y, sample_weight)`.
        views: an augmentation, applied as in the epochs 0, 1, ... to windows numbered from 0 in the order of the data;
            or functions of a batch of inputs that return another one (`lambda batch: batch` for the data as they are).
        count: how many views; for an augmentation.
        batch_size: windows predicted at a time; batches have their own size.
        augmented: for an augmentation and several inputs, the key or position of the one that is augmented.

    Raises:
        ArgumentError: no views, no count for an augmentation, or a batch size below 1.
        DataError: there are no windows, the inputs differ in length, or the data never end.
    """
    functions = _view_functions(views, count, augmented)
    require_whole("batch_size", batch_size, 1)
    means: list[list[NDArray[Any]]] = []
    spreads: list[list[NDArray[Any]]] = []
    outputs: Any = None
    for x, numbers in _batches(data, batch_size):
        outputs, moments = _predict(model, x, numbers, functions)
        means.append([each.mean() for each in moments])
        spreads.append([each.standard_deviation() for each in moments])
    if not means:
        raise DataError("Received data without windows. Expected at least one.")
    return ViewPredictions(_joined(outputs, means), _joined(outputs, spreads), len(functions))


def _view_functions(
    views: Augmentation | Sequence[View], count: int | None, augmented: str | int | None
) -> list[Callable[[Any, NDArray[np.int64]], Any]]:
    if isinstance(views, Augmentation):
        require_whole("count", count, 1)
        assert count is not None
        return [_augmented_view(views, epoch, augmented) for epoch in range(count)]
    if not isinstance(views, Iterable) or not (functions := list(views)) or not all(map(callable, functions)):
        raise ArgumentError(f"Received views={views!r}. Expected an Augmentation, or at least one function of a batch.")
    if count is not None and count != len(functions):
        raise ArgumentError(f"Received count={count!r} and {len(functions)} functions. Expected no count.")
    return [_plain_view(function) for function in functions]


def _plain_view(function: View) -> Callable[[Any, NDArray[np.int64]], Any]:
    return lambda x, numbers: function(x)  # noqa: ARG005 - the numbers are for augmentations


def _augmented_view(views: Augmentation, epoch: int, augmented: Any) -> Callable[[Any, NDArray[np.int64]], Any]:
    def view(x: Any, numbers: NDArray[np.int64]) -> Any:
        if augmented is None:
            if not isinstance(x, np.ndarray):
                raise ArgumentError(f"Received {_kind(x)} of inputs. Expected augmented=: which one is augmented.")
            return views.apply(x, numbers, epoch)
        items = dict(x) if isinstance(x, dict) else dict(enumerate(x))
        if augmented not in items:
            raise ArgumentError(f"Received augmented={augmented!r}. Expected one of {list(items)}.")
        items[augmented] = views.apply(items[augmented], numbers, epoch)
        return items if isinstance(x, dict) else tuple(items.values())

    return view


def _kind(x: Any) -> str:
    return f"a {type(x).__name__}"


class _RunningMoments:
    """Mean and standard deviation of arrays that come one after the other."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._count = 0
        self._dtype = dtype
        self._mean = np.zeros(shape)
        self._squares = np.zeros(shape)

    def add(self, values: NDArray[Any]) -> None:
        self._count += 1
        difference = values - self._mean
        self._mean += difference / self._count
        self._squares += difference * (values - self._mean)

    def mean(self) -> NDArray[Any]:
        return self._mean.astype(self._dtype)

    def standard_deviation(self) -> NDArray[Any]:
        return np.sqrt(self._squares / self._count).astype(self._dtype)


def _predict(
    model: Any, x: Any, numbers: NDArray[np.int64], functions: Sequence[Callable[[Any, NDArray[np.int64]], Any]]
) -> tuple[Any, list[_RunningMoments]]:
    """The outputs of one view, for their structure, and what each of their leaves was over all views."""
    import keras

    moments: list[_RunningMoments] = []
    for view in functions:
        outputs = model.predict_on_batch(view(x, numbers))
        leaves = [np.asarray(leaf) for leaf in keras.tree.flatten(outputs)]
        moments = moments or [_RunningMoments(leaf.shape, leaf.dtype) for leaf in leaves]
        for leaf, each in zip(leaves, moments, strict=True):
            each.add(leaf)
    return outputs, moments


def _joined(outputs: Any, parts: list[list[NDArray[Any]]]) -> Any:
    import keras

    leaves = [np.concatenate([part[index] for part in parts]) for index in range(len(parts[0]))]
    return keras.tree.pack_sequence_as(outputs, leaves)


def _batches(data: Any, batch_size: int) -> Iterator[_Batch]:
    """The inputs of each batch as NumPy arrays, and the numbers of its windows."""
    first = 0
    for x in _of_arrays(data, batch_size) if _is_arrays(data) else _of_batches(data):
        lengths = {len(leaf) for leaf in _leaves(x)}
        if len(lengths) != 1:
            raise DataError(f"Received inputs of {sorted(lengths)} windows in a batch. Expected one number of windows.")
        length = lengths.pop()
        if length:
            yield x, np.arange(first, first + length)
        first += length


def _is_arrays(data: Any) -> bool:
    if isinstance(data, dict | tuple | list):
        return all(map(_is_arrays, _leaves(data)))
    return isinstance(data, np.ndarray | Windows)


def _leaves(x: Any) -> list[Any]:
    if isinstance(x, dict):
        return list(x.values())
    return list(x) if isinstance(x, tuple | list) else [x]


def _of_arrays(data: Any, batch_size: int) -> Iterator[Any]:
    inputs = {key: as_windows(value) for key, value in _items(data)}
    lengths = {key: windows.shape[0] for key, windows in inputs.items()}
    if len(set(lengths.values())) != 1:
        raise DataError(f"Received inputs of the lengths {lengths}. Expected the same number of windows.")
    (length,) = set(lengths.values())
    for first in range(0, length, batch_size):
        numbers = np.arange(first, min(first + batch_size, length))
        batch = {key: windows.read(numbers) for key, windows in inputs.items()}
        yield batch if isinstance(data, dict) else tuple(batch.values()) if None not in batch else batch[None]


def _items(data: Any) -> list[tuple[Any, Any]]:
    if isinstance(data, dict):
        return list(data.items())
    return list(enumerate(data)) if isinstance(data, tuple | list) else [(None, data)]


def _of_batches(data: Any) -> Iterator[Any]:
    import keras

    for batch in _elements(data):
        x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        yield keras.tree.map_structure(_as_numpy, x)


def _elements(data: Any) -> Iterator[Any]:
    import keras

    if isinstance(data, keras.utils.PyDataset):
        if data.num_batches is None:
            raise DataError("Received a PyDataset without a number of batches. Expected one that ends.")
        return (data[index] for index in range(data.num_batches))
    cardinality = getattr(data, "cardinality", None)
    if cardinality is not None and int(cardinality()) == -1:  # tf.data.INFINITE_CARDINALITY
        raise DataError("Received a tf.data pipeline that never ends. Expected one without repeat().")
    if not isinstance(data, Iterable) or isinstance(data, types.ModuleType | str | bytes):
        raise ArgumentError(f"Received {_kind(data)} as data. Expected arrays, windows, or batches.")
    return iter(data)


def _as_numpy(value: Any) -> NDArray[Any]:
    import keras

    return value if isinstance(value, np.ndarray) else np.asarray(keras.ops.convert_to_numpy(value))

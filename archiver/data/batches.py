"""`array_batches`: arrays as a data set that is shuffled anew in each epoch, exactly so again in another process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from archiver.collect.data import ArraySource, as_array, named_arrays
from archiver.data.orders import epoch_order
from archiver.data.passes import PARALLEL_BATCHES, Passes, made_ahead
from archiver.errors import ArgumentError, DataError


def array_batches(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int = 32,
    seed: int | None = None,
    shuffle: bool = True,
    drop_remainder: bool = False,
) -> Any:
    """The fastest seeded data set of arrays that the backend has: a tf.data pipeline on TensorFlow, else a PyDataset.

    Args:
        x: array, or a structure of arrays (dict, tuple) with the samples as first axis.
        y: targets, likewise; None for a model without targets.
        sample_weight: one weight per sample, likewise; needs `y`.
        batch_size: samples in a batch.
        seed: decides the order of every epoch; required where `shuffle` is on.
        shuffle: a new order in each epoch.
        drop_remainder: leave out the last batch when it is smaller.

    Raises:
        ArgumentError: a batch size below 1, or no seed.
        DataError: the arrays differ in length, or are empty.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ArgumentError(f"Received batch_size={batch_size!r}. Expected a whole number of at least 1.")
    if shuffle and (seed is None or isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise ArgumentError(f"Received seed={seed!r} with shuffle=True. Expected a whole number of at least 0.")
    if sample_weight is not None and y is None:
        raise ArgumentError("Received sample_weight without y. Expected both.")
    source = ArraySource(x, y, sample_weight, batch_size, seed, shuffle, drop_remainder)
    count = _sample_count(source)
    make = _tf_data if keras.backend.backend() == "tensorflow" else ArrayBatches
    dataset = make(source, count, drop_remainder)
    dataset.archiver_source = source
    return dataset


def _sample_count(source: ArraySource) -> int:
    named = [
        *named_arrays("x", source.x),
        *named_arrays("y", source.y),
        *named_arrays("sample_weight", source.sample_weight),
    ]
    lengths = {name: len(value) for name, value in named}
    if len(set(lengths.values())) != 1 or not next(iter(lengths.values())):
        raise DataError(f"Received arrays of the lengths {lengths}. Expected the same number of samples, at least 1.")
    return next(iter(lengths.values()))


def _elements(source: ArraySource) -> Any:
    parts = [part for part in (source.x, source.y, source.sample_weight) if part is not None]
    structure = tuple(parts) if len(parts) > 1 else parts[0]
    return keras.tree.map_structure(as_array, structure)


def _tf_data(source: ArraySource, count: int, drop_remainder: bool) -> Any:
    """Orders come from Python, one an epoch; batches are gathered by TensorFlow, several at a time, in order."""
    import tensorflow as tf

    elements = keras.tree.map_structure(tf.convert_to_tensor, _elements(source))
    batch_count = count // source.batch_size if drop_remainder else -(-count // source.batch_size)

    def orders() -> Iterator[NDArray[np.int64]]:
        epoch = epochs.begin()
        yield epoch_order(count, source.seed or 0, epoch) if source.shuffle else np.arange(count)

    def gather(indices: Any) -> Any:
        return keras.tree.map_structure(lambda tensor: tf.gather(tensor, indices), elements)

    def batches(order: Any) -> Any:
        size = source.batch_size
        return tf.data.Dataset.range(batch_count).map(lambda index: order[index * size : (index + 1) * size])

    epochs = Passes()
    dataset = tf.data.Dataset.from_generator(orders, output_signature=tf.TensorSpec((count,), tf.int64))
    dataset = dataset.flat_map(batches).map(gather, num_parallel_calls=PARALLEL_BATCHES, deterministic=True)
    return epochs.kept_by(made_ahead(dataset, batch_count))


class ArrayBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """The same for JAX and torch: batches by index, in the order of the epoch."""

    def __init__(self, source: ArraySource, count: int, drop_remainder: bool) -> None:
        super().__init__()
        self._source = source
        self._count = count
        self._elements = _elements(source)
        self._drop_remainder = drop_remainder
        self._epoch = 0
        self._order = self._make_order()

    def _make_order(self) -> NDArray[np.int64]:
        if not self._source.shuffle:
            return np.arange(self._count)
        return epoch_order(self._count, self._source.seed or 0, self._epoch)

    def __len__(self) -> int:
        size = self._source.batch_size
        return self._count // size if self._drop_remainder else -(-self._count // size)

    def __getitem__(self, index: int) -> Any:
        """The batch `index` of this epoch."""
        size = self._source.batch_size
        indices = self._order[index * size : (index + 1) * size]
        return keras.tree.map_structure(lambda array: array[indices], self._elements)

    def on_epoch_end(self) -> None:
        """Take the order of the next epoch."""
        self._epoch += 1
        self._order = self._make_order()

    def get_archive_state(self) -> dict[str, int]:
        """Where it stands between two epochs."""
        return {"passes": self._epoch}

    def set_archive_state(self, state: dict[str, int]) -> None:
        """Stand there; the epochs before are not drawn."""
        self._epoch = int(state["passes"])
        self._order = self._make_order()

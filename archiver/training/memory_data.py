"""Bytes of training data and of one batch of it, without taking anything from it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import keras

from archiver.storage.dtypes import dtype_bytes

COPIES = 2
"""What `fit` makes of arrays on TensorFlow: a tensor, and the data set that holds it (measured: 1.9)."""


class DataSize(NamedTuple):
    """What data takes. None: it does not tell."""

    data_bytes: int | None
    copies_bytes: int | None
    sample_bytes: int
    note: str | None


def data_size(model: Any, data: Any) -> DataSize:
    """Size of `data`: arrays, nested arrays, a tf.data.Dataset, a PyDataset, another source, or None.

    Only shapes and dtypes are looked at; nothing is drawn from an iterator.
    """
    if data is None:
        note = "data: none was given; a batch is counted from the shapes of inputs and outputs"
        return DataSize(None, None, _sample_of_model(model), note)
    if hasattr(data, "element_spec"):
        sample = sum(_spec_bytes(each) for each in keras.tree.flatten(data.element_spec))
        note = "data: a tf.data pipeline does not tell what its buffers and caches hold; they are not counted"
        return DataSize(None, None, sample or _sample_of_model(model), note)
    arrays = [each for each in keras.tree.flatten(data) if each is not None]
    if arrays and all(hasattr(each, "shape") and hasattr(each, "dtype") and len(each.shape) for each in arrays):
        held = sum(math.prod(each.shape) * _item_bytes(each, fed=False) for each in arrays)
        fed = sum(math.prod(each.shape) * _item_bytes(each, fed=True) for each in arrays)
        sample = sum(math.prod(each.shape[1:]) * _item_bytes(each, fed=True) for each in arrays)
        return DataSize(held, COPIES * fed, sample, None)
    note = f"data: {type(data).__name__} does not tell its size without being read; what it holds is not counted"
    return DataSize(None, None, _sample_of_model(model), note)


def _item_bytes(array: Any, *, fed: bool) -> int:
    """Bytes of an element as it is held, or as `fit` feeds it: floating-point arrays become Keras' floatx."""
    name = str(keras.backend.standardize_dtype(array.dtype))
    return dtype_bytes(keras.config.floatx() if fed and "float" in name else name)


def _spec_bytes(spec: Any) -> int:
    lengths = list(spec.shape or ())[1:]
    return 0 if None in lengths else math.prod(lengths) * int(spec.dtype.size)


def _sample_of_model(model: Any) -> int:
    tensors = keras.tree.flatten([model.inputs, model.outputs])
    return sum(math.prod(int(length) for length in each.shape[1:]) * dtype_bytes(str(each.dtype)) for each in tensors)

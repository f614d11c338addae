"""The batches of a feed as a tf.data pipeline.

Batches are made by Python, a few at a time: reading and scaling let other threads run. Python alone decides the order,
one pass at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from archiver.data.feeding.feed import Feed
from archiver.data.passes import PARALLEL_BATCHES, Passes, made_ahead


def tf_data_of(feed: Feed) -> Any:
    """A `tf.data.Dataset` of the batches; each time it is begun, the next pass."""
    passes = Passes()
    empty = feed.empty_batch()
    leaves = keras.tree.flatten(empty)

    def begin() -> Iterator[int]:
        yield passes.begin()

    def indices(number: Any) -> Any:
        return tf.data.Dataset.range(len(feed)).map(lambda index: (number, index))

    def made(number: Any, index: Any) -> list[Any]:
        return [np.asarray(leaf) for leaf in keras.tree.flatten(feed.batch(int(number), int(index)))]

    def batch(number: Any, index: Any) -> Any:
        tensors = tf.numpy_function(made, [number, index], [leaf.dtype for leaf in leaves], stateful=False)
        for tensor, leaf in zip(tensors, leaves, strict=True):
            tensor.set_shape((feed.batch_size if feed.drop_remainder else None, *leaf.shape[1:]))
        return keras.tree.pack_sequence_as(empty, tensors)

    dataset = tf.data.Dataset.from_generator(begin, output_signature=tf.TensorSpec((), tf.int64))
    dataset = dataset.flat_map(indices).map(batch, num_parallel_calls=PARALLEL_BATCHES, deterministic=True)
    return passes.kept_by(made_ahead(dataset, len(feed)))

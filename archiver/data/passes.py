"""Passes over a tf.data pipeline: which one begins next, and batches that are made before they are asked for."""

from __future__ import annotations

import os
from typing import Any

PARALLEL_BATCHES = min(4, os.cpu_count() or 1)
READY_BATCHES = 2
"""Made before they are asked for: few, so that memory does not grow with them."""


class Passes:
    """How often a data set was begun: the number of the pass that begins next, from 0."""

    def __init__(self) -> None:
        self.begun = 0

    def begin(self) -> int:
        """A pass begins: its number."""
        number = self.begun
        self.begun += 1
        return number

    def kept_by(self, dataset: Any) -> Any:
        """The tf.data pipeline that draws its orders from here: it says where it stands, and can be put there."""

        def put(state: Any) -> None:
            self.begun = int(state["passes"])

        dataset.get_archive_state = lambda: {"passes": self.begun}
        dataset.set_archive_state = put
        return dataset


def made_ahead(dataset: Any, batch_count: int) -> Any:
    """The `tf.data.Dataset` with batches made ahead, and its length known.

    TensorFlow's autotuner is off: what it would choose is fixed here, and the end of a pass waits until it wakes, which
    it does 10 ms, 30 ms, 70 ms and so on after the pass began: the later, the longer the wait (TensorFlow 2.21).
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = dataset.prefetch(READY_BATCHES).with_options(options)
    return dataset.apply(tf.data.experimental.assert_cardinality(batch_count))

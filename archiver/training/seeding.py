"""Seeding everything that draws random numbers, and remembering that it was done."""

from __future__ import annotations

import random

import keras
import numpy as np

from archiver.errors import ArgumentError
from archiver.records.base import Unavailable
from archiver.records.determinism import SeedPart

MAXIMAL_SEED = 2**32 - 1

_last: SeedPart | None = None


def seed(value: int, *, deterministic_ops: bool = False) -> None:
    """Seed Python's, NumPy's, Keras' and the backend's random number generators, before the model is made.

    Args:
        value: 0 to 2**32 - 1, the range that all of them take.
        deterministic_ops: also make TensorFlow's operations deterministic. Costs speed and, without a word from
            TensorFlow, XLA; needed for equal bits on GPUs, on CPUs only with several threads in some operations.

    Raises:
        ArgumentError: no such seed, or the backend has no deterministic operations to switch on.
    """
    global _last  # noqa: PLW0603 - random number generators are global, and so is what was done to them
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value <= MAXIMAL_SEED:
        raise ArgumentError(f"Received seed {value!r}. Expected a whole number from 0 to {MAXIMAL_SEED}.")
    backend = keras.backend.backend()
    if deterministic_ops and backend != "tensorflow":
        raise ArgumentError(
            f"Received deterministic_ops=True with the backend {backend!r}. Expected the backend 'tensorflow'."
        )
    random.seed(int(value))
    np.random.seed(int(value))
    keras.utils.set_random_seed(int(value))
    if deterministic_ops:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    _last = SeedPart(
        seed=int(value), deterministic_ops=deterministic_ops, generators=("python", "numpy", "keras", backend)
    )


def last_seed() -> SeedPart | Unavailable:
    """What `seed` did last in this process."""
    return _last or Unavailable(unavailable="archiver.seed was not called before fit")

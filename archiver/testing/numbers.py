"""The sizes and the made-up numbers of tiny runs."""

from __future__ import annotations

from hashlib import sha256

import numpy as np

MODEL_NAME = "tiny"
KERAS_VERSION = "3.15.1"
FEATURES, CLASSES, SAMPLES, BATCH_SIZE = 8, 2, 32, 16
SHAPES = {
    "dense": {"kernel": (FEATURES, 160), "bias": (160,)},
    "dense_1": {"kernel": (160, CLASSES), "bias": (CLASSES,)},
}
"""The weights by layer; the largest one is larger than the blocks in which zip files are read."""


def numbers_from(*seed: object) -> np.random.Generator:
    """A generator that always begins in the same way for the same `seed`."""
    return np.random.default_rng(list(sha256(repr(seed).encode()).digest()))

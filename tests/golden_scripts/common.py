"""A small model and data, for the golden archives. Changing it changes nothing of those that are there."""

import sys
from pathlib import Path

import keras
import numpy as np

ROOT = Path(sys.argv[1])


def arrays(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 3, count)
    return (generator.normal(size=(count, 6, 6, 1)) + y[:, None, None, None]).astype("float32"), y


def make_model() -> keras.Model:
    model = keras.Sequential(
        [
            keras.layers.Input((6, 6, 1)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.2),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ],
        name="golden",
    )
    model.compile(keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model

"""A small model and data that training tests share."""

import keras
import numpy as np


def arrays(count: int = 48, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two noisy classes in four dimensions."""
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 2, count)
    x = (generator.normal(size=(count, 4)) + y[:, None]).astype("float32")
    return x, y


def model(name: str = "small") -> keras.Model:
    """Dropout included, so that random numbers are drawn in training."""
    made = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(2, activation="softmax"),
        ],
        name=name,
    )
    made.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return made

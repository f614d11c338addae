"""A small model and data that training tests share."""

import keras
import numpy as np


def arrays(count: int = 48, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two noisy classes in four dimensions."""
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 2, count)
    x = (generator.normal(size=(count, 4)) + y[:, None]).astype("float32")
    return x, y


def model(name: str = "small", *, is_built: bool = True) -> keras.Model:
    """Dropout included, so that random numbers are drawn in training.

    Where metrics and optimizer have no variables before `fit`, TensorFlow traces the first step twice, which takes
    longer than all the rest of most trainings here: so they have them, unless that is what is tested.
    """
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
    if is_built:
        x, y = arrays(1)
        made._symbolic_build(data_batch=(x, y))
    return made

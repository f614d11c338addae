"""Transfer learning in two phases: what a network has learned from the digits 0 to 4 helps it to tell 5 to 9 apart.

First only a new head is trained, on a frozen base; then all of it, slowly. Both calls of `fit` are phases of one run.

python examples/transfer_learning.py --root runs
"""

from __future__ import annotations

import argparse

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import archiver

Split = tuple[np.ndarray, np.ndarray]


def load(digits: range) -> Split:
    """Images of shape (n, 8, 8, 1), float32 in [0, 1], and labels from 0, of some of the digits."""
    found = load_digits()
    wanted = np.isin(found.target, list(digits))
    images = (found.images[wanted] / 16.0).astype("float32")[..., np.newaxis]
    return images, found.target[wanted] - digits.start


def make_base() -> keras.Model:
    return keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
        ],
        name="base",
    )


def classifier(base: keras.Model, classes: int) -> keras.Model:
    return keras.Sequential([keras.layers.Input((8, 8, 1)), base, keras.layers.Dense(classes, activation="softmax")])


def compiled(model: keras.Model, learning_rate: float) -> keras.Model:
    optimizer = keras.optimizers.Adam(learning_rate)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description="Transfer learning from five digits to the five others.")
    parser.add_argument("--root", default="runs", help="the folder of the runs")
    parser.add_argument("--epochs", type=int, default=6, help="of each phase")
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()

    archiver.seed(arguments.seed)
    base = make_base()
    compiled(classifier(base, 5), 0.005).fit(*load(range(5)), epochs=arguments.epochs, verbose=0)

    x_rest, x_test, y_rest, y_test = train_test_split(*load(range(5, 10)), test_size=0.25, random_state=arguments.seed)
    x, x_val, y, y_val = train_test_split(x_rest, y_rest, test_size=0.25, random_state=arguments.seed)
    train = archiver.data.array_batches(x, y, batch_size=16, seed=arguments.seed)
    archive = archiver.RunArchiver(
        arguments.root,
        condition="digits5to9",
        architecture="cnn",
        config="transfer",
        class_names=[f"digit {digit}" for digit in range(5, 10)],
        preprocessing="pixel values divided by 16",
        hyperparameters=arguments,
        notes={"intended_use": "shows two phases of one run", "base": "trained on the digits 0 to 4 just before"},
        tags=["transfer"],
    )
    model = classifier(base, 5)
    for trainable, learning_rate in ((False, 0.01), (True, 0.001)):
        base.trainable = trainable
        compiled(model, learning_rate).fit(
            train,
            shuffle=False,  # array_batches shuffles itself
            validation_data=(x_val, y_val),
            epochs=arguments.epochs,
            verbose=0,
            callbacks=[archive],
        )
    run = archive.finalize(test_data=(x_test, y_test))
    archiver.verify(run.path).raise_for_findings()
    print(f"report: {run.path / 'README.html'}")


if __name__ == "__main__":
    main()

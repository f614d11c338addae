"""Regression: the progression of diabetes from ten measurements of a patient (scikit-learn's data, 442 patients).

python examples/diabetes_regression.py --root runs
"""

from __future__ import annotations

import argparse

import keras
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

import archiver


def load(seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Measurements of shape (n, 10) in their own units, and the progression after a year, both float32."""
    x, y = load_diabetes(return_X_y=True, scaled=False)
    x_rest, x_test, y_rest, y_test = train_test_split(
        x.astype("float32"), y.astype("float32"), test_size=0.2, random_state=seed
    )
    x_train, x_val, y_train, y_val = train_test_split(x_rest, y_rest, test_size=0.2, random_state=seed)
    return {"train": (x_train, y_train), "validation": (x_val, y_val), "test": (x_test, y_test)}


def make_model(x: np.ndarray, y: np.ndarray) -> keras.Model:
    """The scaling of inputs and target is part of the model, so that it takes and gives values in their own units."""
    scale_inputs = keras.layers.Normalization(name="scale_inputs")
    scale_inputs.adapt(x)
    restore_target = keras.layers.Rescaling(float(y.std()), offset=float(y.mean()), name="restore_target")
    model = keras.Sequential(
        [
            keras.layers.Input((10,)),
            scale_inputs,
            keras.layers.Dense(32, activation="relu", kernel_regularizer=keras.regularizers.L2(1e-3)),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1),
            restore_target,
        ],
        name="diabetes_mlp",
    )
    schedule = keras.optimizers.schedules.CosineDecay(0.01, decay_steps=600)
    model.compile(keras.optimizers.AdamW(schedule, clipnorm=1.0), loss="mse", metrics=["mae"])
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description="Train and archive a regression on the diabetes data.")
    parser.add_argument("--root", default="runs", help="the folder of the runs")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()

    archiver.seed(arguments.seed)
    data = load(arguments.seed)
    model = make_model(*data["train"])
    archive = archiver.RunArchiver(
        arguments.root,
        condition="diabetes",
        architecture="mlp",
        config="cosine",
        preprocessing="none outside the model: its first and last layers scale",
        hyperparameters=arguments,
        dataset_source={"name": "scikit-learn load_diabetes", "origin": "Efron et al. 2004, Least Angle Regression"},
        notes={
            "intended_use": "shows what archiver writes of a regression",
            "limitations": "442 patients of one study; not for use on patients",
        },
        tags=["regression"],
    )
    train = archiver.data.array_batches(*data["train"], batch_size=32, seed=arguments.seed)
    early_stopping = keras.callbacks.EarlyStopping(patience=15, restore_best_weights=True)
    model.fit(
        train,
        shuffle=False,  # array_batches shuffles itself
        validation_data=data["validation"],
        epochs=arguments.epochs,
        verbose=0,
        callbacks=[early_stopping, archive],
    )
    run = archive.finalize(test_data=data["test"])
    archiver.verify(run.path).raise_for_findings()
    print(f"report: {run.path / 'README.html'}")


if __name__ == "__main__":
    main()

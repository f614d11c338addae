"""Train a small CNN on scikit-learn's handwritten digits, archive the run, and verify the archive.

python examples/digits_cnn.py --root runs
python examples/digits_cnn.py --root s3://bucket/runs
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import archiver


def load(seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images of shape (n, 8, 8, 1), float32 in [0, 1], and labels 0 to 9, in three stratified splits."""
    digits = load_digits()
    images = (digits.images / 16.0).astype("float32")[..., np.newaxis]
    x_rest, x_test, y_rest, y_test = train_test_split(
        images, digits.target, test_size=0.2, random_state=seed, stratify=digits.target
    )
    x_train, x_val, y_train, y_val = train_test_split(x_rest, y_rest, test_size=0.2, random_state=seed, stratify=y_rest)
    return {"train": (x_train, y_train), "validation": (x_val, y_val), "test": (x_test, y_test)}


def make_model() -> keras.Model:
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ],
        name="digits_cnn",
    )
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def tree(folder: Path) -> str:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return "\n".join(f"  {path.stat().st_size:>10,}  {path.relative_to(folder)}" for path in paths)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train, archive and verify a CNN on handwritten digits.")
    parser.add_argument("--root", default="runs", help="the folder of the runs, or the URL of a store")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()

    archiver.seed(arguments.seed)
    data = load(arguments.seed)
    model = make_model()
    train = archiver.data.array_batches(*data["train"], batch_size=arguments.batch_size, seed=arguments.seed)
    archive = archiver.RunArchiver(
        arguments.root,
        condition="digits",
        architecture="cnn",
        config="base",
        class_names=[str(digit) for digit in range(10)],
        preprocessing={"scaling": "pixel values divided by 16, so that they lie in [0, 1]", "dtype": "float32"},
        hyperparameters=arguments,
        dataset_source={"name": "scikit-learn load_digits", "origin": "UCI optical recognition of handwritten digits"},
        notes={"intended_use": "shows what archiver writes"},
        tags=["demo"],
    )
    early_stopping = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    model.fit(
        train,
        shuffle=False,  # array_batches shuffles itself
        validation_data=data["validation"],
        epochs=arguments.epochs,
        verbose=2,
        callbacks=[early_stopping, archive],
    )
    run = archive.finalize(test_data=data["test"])

    archiver.verify(run.path).raise_for_findings()
    if "://" in arguments.root:
        archiver.verify(f"{arguments.root}/{run.path.name}").raise_for_findings()
        print(f"\nuploaded and verified: {arguments.root}/{run.path.name}")
    print(f"\n{run.path}\n{tree(run.path)}")
    print(f"\nreport: {run.path / 'README.md'}")


if __name__ == "__main__":
    main()

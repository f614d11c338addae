"""Eight small trainings that a report must do well by: `python gallery.py FOLDER` makes them, in half a minute.

The tests run this file in a repository of its own, whose branch bears a hostile name.
"""

import sys
from pathlib import Path

import keras
import numpy as np
from hostile import HOSTILE

import archiver

random = np.random.default_rng(7)


def blobs(classes: int, count: int, dimensions: int = 6, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Points around the centres of the classes, float32, with int64 labels."""
    centres = np.random.default_rng(1).normal(size=(classes, dimensions)) * 2
    y = random.integers(0, classes, count)
    return (centres[y] + spread * random.normal(size=(count, dimensions))).astype("float32"), y


def dense(classes: int, dimensions: int = 6, units: int = 24, names: tuple[str, str] = ("hidden", "scores")):
    model = keras.Sequential(
        [
            keras.layers.Input((dimensions,)),
            keras.layers.Dense(units, "relu", name=names[0]),
            keras.layers.Dense(classes, "softmax", name=names[1]),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def classifier(root: Path) -> None:
    from sklearn.datasets import load_digits

    archiver.seed(42)
    digits = load_digits()
    x, y = (digits.images / 16).astype("float32")[..., None], digits.target
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(12, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, "softmax"),
        ],
        name="digits_cnn",
    )
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    archive = archiver.RunArchiver(
        root, name="classifier", class_names=[str(digit) for digit in range(10)], tags=["demo", "digits"],
        preprocessing="pixel values divided by 16", dataset_source={"name": "scikit-learn load_digits"},
        hyperparameters={"learning_rate": 0.001, "dropout": 0.2},
        notes={
            "license": "apache-2.0", "intended_use": "shows what a report looks like",
            "limitations": "trained on 8 x 8 pixels; larger images must be reduced first", "funding": "none",
        },
    )  # fmt: skip
    stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    model.fit(
        archiver.data.array_batches(x[:1000], y[:1000], batch_size=64, seed=42), shuffle=False, epochs=8, verbose=0,
        validation_data=(x[1000:1400], y[1000:1400]), callbacks=[stop, archive],
    )  # fmt: skip
    archive.finalize(test_data=(x[1397:], y[1397:]))


def regression(root: Path) -> None:
    from sklearn.datasets import load_diabetes

    x, y = (part.astype("float32") for part in load_diabetes(return_X_y=True))
    y = y / 100
    model = keras.Sequential([keras.layers.Input((10,)), keras.layers.Dense(64, "tanh"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.05, 200)), loss="mse", metrics=["mae"])
    archive = archiver.RunArchiver(root, name="regression", notes="The target is given in hundreds.")
    model.fit(x[:300], y[:300], validation_split=0.2, epochs=20, verbose=0, callbacks=[archive])
    archive.finalize(test_data=(x[300:], y[300:]))


def several_outputs(root: Path) -> None:
    archiver.seed(1)
    picture, table = keras.Input((6, 6, 1), name="picture"), keras.Input((3,), name="table")
    both = keras.layers.Concatenate()([keras.layers.Flatten()(picture), table])
    both = keras.layers.Dense(16, "relu")(both)
    outputs = {
        "size": keras.layers.Dense(1, name="size")(both),
        "kind": keras.layers.Dense(3, "softmax", name="kind")(both),
        "is_large": keras.layers.Dense(1, "sigmoid", name="is_large")(both),
    }
    model = keras.Model({"picture": picture, "table": table}, outputs, name="three_heads")
    model.compile(
        keras.optimizers.Adam(0.01),
        loss={"size": "mse", "kind": "sparse_categorical_crossentropy", "is_large": "binary_crossentropy"},
        metrics={"kind": "accuracy"},
    )

    def data(count: int):
        table, kind = blobs(3, count, 3)
        picture = random.normal(size=(count, 6, 6, 1)).astype("float32")
        size = table.sum(1)
        targets = {"size": size, "kind": kind, "is_large": (size > 0).astype("float32")}
        return {"picture": picture, "table": table}, targets

    archive = archiver.RunArchiver(root, name="several_outputs", class_names=None)
    model.fit(*data(300), validation_data=data(90), epochs=12, verbose=0, callbacks=[archive])
    archive.finalize(test_data=data(120))


def one_epoch(root: Path) -> None:
    archive = archiver.RunArchiver(root, name="one_epoch")
    dense(3).fit(*blobs(3, 90), epochs=1, verbose=0, callbacks=[archive])


class Stop(keras.callbacks.Callback):
    """Ctrl-C in the third epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def interrupted(root: Path) -> None:
    archiver.seed(5)
    archive = archiver.RunArchiver(root, name="interrupted")
    try:
        dense(4).fit(*blobs(4, 200), validation_split=0.2, epochs=9, verbose=0, callbacks=[Stop(), archive])
    except KeyboardInterrupt:
        archive.finalize()


def hundred_classes(root: Path) -> None:
    archiver.seed(3)
    names = [f"species {index:03}" for index in range(100)]
    archive = archiver.RunArchiver(root, name="hundred_classes", class_names=names)
    validation = blobs(100, 400, 12)
    model = dense(100, 12, 64)
    model.fit(*blobs(100, 4000, 12), validation_data=validation, epochs=6, verbose=0, callbacks=[archive])
    archive.finalize(test_data=blobs(100, 1500, 12))


def other_scripts(root: Path) -> None:
    archiver.seed(4)
    names = ["été", "кошка", "猫", "كلب", "naïve 🐈"]
    archive = archiver.RunArchiver(
        root, condition="año nuevo", architecture="größe", config="東京", class_names=names, tags=["données", "猫"],
        notes={"intended_use": "für Prüfungen", "avertissement": "ne pas utiliser"},
    )  # fmt: skip
    model = dense(5)
    model.fit(*blobs(5, 300), validation_split=0.2, epochs=3, verbose=0, callbacks=[archive])
    model.fit(*blobs(5, 300), validation_split=0.2, epochs=2, verbose=0, callbacks=[archive])
    archive.finalize(test_data=blobs(5, 150, spread=4.0))


def hostile(root: Path) -> None:
    named = {name: name for name in HOSTILE}
    archive = archiver.RunArchiver(
        root, name="hostile", class_names=HOSTILE, tags=HOSTILE, group=HOSTILE[0], preprocessing=named,
        hyperparameters=named, dataset_source={HOSTILE[0]: HOSTILE[4], "name": HOSTILE[5]},
        notes=named | {"license": HOSTILE[5], "intended_use": HOSTILE[0], "limitations": HOSTILE[25]},
    )  # fmt: skip
    for name in HOSTILE:
        archive.log(name, name)
    model = dense(len(HOSTILE), names=("a>b_c_", "d-_e_"))
    hostile_metric = keras.metrics.SparseCategoricalAccuracy(name=HOSTILE[7])
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy", hostile_metric])
    model.fit(*blobs(len(HOSTILE), 300), validation_split=0.2, epochs=2, verbose=0, callbacks=[archive])
    archive.finalize(test_data=blobs(len(HOSTILE), 200))


RUNS = (
    classifier, regression, several_outputs, one_epoch, interrupted, hundred_classes, other_scripts, hostile,
)  # fmt: skip


def main() -> None:
    for make in RUNS:
        keras.utils.clear_session()
        make(Path(sys.argv[1]))


if __name__ == "__main__":
    main()

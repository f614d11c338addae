"""Accelerometer windows and their features as two inputs, changed anew in each epoch, tested in several views.

python examples/motion_windows.py --root runs --data motion
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np

import archiver
from archiver.data import (
    Augmentation,
    ChannelDropout,
    GaussianNoise,
    Recording,
    Scaling,
    TimeMask,
    TimeShift,
    WindowCache,
    Windowing,
)

AXES, RATE_HZ, WINDOW_SAMPLES = 3, 50, 128
ACTIVITIES = {"resting": (0.0, 0.05), "walking": (1.8, 2.5), "running": (2.8, 7.0), "cycling": (1.2, 1.2)}
"""Steps or turns per second, and how strong they are in m/s2."""


def make_recordings(people: int, seconds: int, seed: int) -> list[Recording]:
    """A recording of each person in each activity, shape (axes, samples), in m/s2.

    Gravity points along an axis of the person's own. A movement repeats at the activity's frequency, times a factor of
    the person's of 0.9 to 1.1, with a first and a second harmonic and a direction of its own, under white noise.
    """
    recordings = []
    for person in range(people):
        chance = np.random.default_rng([seed, person])
        gravity = 9.81 * direction(chance)
        factor = chance.uniform(0.9, 1.1)
        times = np.arange(seconds * RATE_HZ) / RATE_HZ
        for label, (activity, (frequency, strength)) in enumerate(ACTIVITIES.items()):
            phase = 2 * np.pi * (frequency * factor * times + chance.uniform())
            movement = np.outer(direction(chance), np.sin(phase)) + 0.4 * np.outer(direction(chance), np.sin(2 * phase))
            noise = chance.normal(scale=0.4, size=(AXES, len(times)))
            signal = gravity[:, None] + strength * movement + noise
            name = f"person-{person:02}-{activity}"
            groups = {"subject": f"person-{person:02}"}
            recordings.append(Recording(name, signal.astype("float32"), RATE_HZ, ("x", "y", "z"), (), label, groups))
    return recordings


def direction(chance: np.random.Generator) -> np.ndarray:
    """A random vector of length 1."""
    vector = chance.normal(size=AXES)
    return vector / np.linalg.norm(vector)


def make_model(features: np.ndarray) -> keras.Model:
    """Two branches; `features` are those of the training windows, whose range the model learns."""
    window = keras.Input((AXES, WINDOW_SAMPLES), name="window")
    x = keras.layers.Permute((2, 1))(window)
    for filters in (16, 32):
        x = keras.layers.Conv1D(filters, 9, strides=2, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling1D()(x)
    normalization = keras.layers.Normalization()
    normalization.adapt(features)
    feature = keras.Input((features.shape[1],), name="features")
    y = keras.layers.Dense(16, activation="relu")(normalization(feature))
    joined = keras.layers.Dropout(0.2)(keras.layers.Concatenate()([x, y]))
    outputs = keras.layers.Dense(len(ACTIVITIES), activation="softmax")(joined)
    model = keras.Model({"window": window, "features": feature}, outputs, name="motion_two_inputs")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description="Train, archive and verify a model of windows and their features.")
    parser.add_argument("--root", default="runs", help="the folder of the runs")
    parser.add_argument("--data", type=Path, default=Path("motion"), help="the folder of the cache and the features")
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=30, help="of each recording")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--views", type=int, default=5)
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()

    recordings = make_recordings(arguments.people, arguments.seconds, arguments.seed)
    windowing = Windowing(WINDOW_SAMPLES, WINDOW_SAMPLES // 2, sampling_rate_hz=RATE_HZ)
    print(archiver.data.build_cache(arguments.data / "motion.h5", recordings, windowing).final_line())
    windows = WindowCache.open(arguments.data / "motion.h5")
    function = archiver.data.SignalFeatures([archiver.data.WindowStatistics(), archiver.data.SpectralShape(RATE_HZ)])
    features = archiver.data.extract_features(windows, function, 256, arguments.data / "features.npy")
    splits = archiver.data.split_by_group(
        windows, fractions={"train": 0.6, "validation": 0.2, "test": 0.2}, seed=arguments.seed, stratify=True
    )

    archiver.seed(arguments.seed)
    changes = [TimeShift(10), Scaling(0.9, 1.1), GaussianNoise(0.2), TimeMask(12, probability=0.5),
               ChannelDropout(0.1, probability=0.3)]  # fmt: skip
    augment = Augmentation(changes, seed=arguments.seed)
    inputs = {"window": windows, "features": features}
    train = archiver.data.window_batches(
        inputs, numbers=splits["train"], batch_size=32, seed=arguments.seed, augment={"window": augment}
    )
    held_out = {
        name: archiver.data.window_batches(inputs, numbers=splits[name], batch_size=32, shuffle=False)
        for name in ("validation", "test")
    }
    model = make_model(features.read(splits["train"].numbers))
    archive = archiver.RunArchiver(
        arguments.root,
        condition="motion",
        architecture="two_inputs",
        config="augmented",
        class_names=list(ACTIVITIES),
        hyperparameters=arguments,
        dataset_source={"name": "made by examples/motion_windows.py", "seed": arguments.seed},
        notes={"intended_use": "shows features, augmentation and views"},
    )
    model.fit(train, validation_data=held_out["validation"], shuffle=False, epochs=arguments.epochs, verbose=2,
              callbacks=[archive])  # fmt: skip
    run = archive.finalize(test_data=held_out["test"])

    numbers = splits["test"].numbers
    seen = {"window": windows.read(numbers), "features": features.read(numbers)}
    views = archiver.data.predict_with_views(model, seen, augment, arguments.views, augmented="window")
    accuracy = float((views.mean.argmax(axis=1) == windows.labels[numbers]).mean())
    print(f"test accuracy over {arguments.views} views: {accuracy:.3f}, "
          f"mean spread of a probability {views.standard_deviation.mean():.3f}")  # fmt: skip
    archiver.verify(run.path).raise_for_findings()
    print(f"\nreport: {run.path / 'README.md'}")


if __name__ == "__main__":
    main()

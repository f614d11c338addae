"""From EDF files to a verified archive: recordings of 129 channels become windows on disk, split by subject.

python examples/eeg_windows.py --root runs --data eeg

The recordings are made here (`make_recordings`), since nothing is downloaded; they are written as EDF+ files and read
back by pyedflib, so that everything behind that is what one does with recordings of one's own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
import pyedflib

import archiver
from archiver.data import CachePlan, CacheStorage, RecordingSource, WindowCache, Windowing, build_cache, edf_recording

CHANNELS, RATE_HZ, BLOCK_SECONDS = 129, 100, 10
CONDITIONS = {"eyes open": 0, "eyes closed": 1}


def make_recordings(folder: Path, subjects: int, seconds: int, seed: int) -> list[Path]:
    """EDF+ files of `subjects` people in two releases; what is there already is left alone.

    The noise of a channel has a spectrum of 1/f: white noise whose Fourier transform is divided by the root of the
    frequency. On it stands an oscillation at the subject's own frequency of 9 to 11 Hz (the alpha rhythm), stronger at
    the back of the head (the last third of the channels), and twice to four times as strong while the eyes are closed.
    Every 10 s the eyes open or close; an annotation every 2 s says which. Samples are whole numbers of 16 bits,
    32767 being 500 uV.
    """
    paths = []
    for number in range(subjects):
        path = folder / f"R{1 + number % 2}" / f"sub-{number:02}.edf"
        paths.append(path)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_edf(path, make_signal(np.random.default_rng([seed, number]), seconds))
    return paths


def is_closed(seconds: np.ndarray) -> np.ndarray:
    return (seconds // BLOCK_SECONDS) % 2 == 1


def make_signal(chance: np.random.Generator, seconds: int) -> np.ndarray:
    """Microvolts of shape (channels, samples)."""
    count = seconds * RATE_HZ
    spectrum = np.fft.rfft(chance.normal(size=(CHANNELS, count)))
    frequencies = np.fft.rfftfreq(count, 1 / RATE_HZ)
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(frequencies, 0.5)), count)
    times = np.arange(count) / RATE_HZ
    strength = chance.uniform(4, 8) * np.where(is_closed(times), chance.uniform(2, 4), 1)
    place = np.where(np.arange(CHANNELS) >= 2 * CHANNELS // 3, 1.0, 0.2)
    alpha = np.sin(2 * np.pi * chance.uniform(9, 11) * times + chance.uniform(0, 2 * np.pi))
    return noise * 15 / noise.std() + place[:, None] * strength * alpha


def write_edf(path: Path, microvolts: np.ndarray) -> None:
    header = {
        "dimension": "uV", "sample_frequency": RATE_HZ, "physical_min": -500, "physical_max": 500,
        "digital_min": -32768, "digital_max": 32767, "prefilter": "", "transducer": "",
    }  # fmt: skip
    with pyedflib.EdfWriter(str(path), CHANNELS, file_type=pyedflib.FILETYPE_EDFPLUS) as writer:
        writer.setSignalHeaders([{**header, "label": f"E{channel + 1}"} for channel in range(CHANNELS)])
        writer.writeSamples(list(microvolts))
        for onset in range(0, microvolts.shape[1] // RATE_HZ - 1, 2):
            writer.writeAnnotation(onset, -1, "eyes closed" if is_closed(np.array(onset)) else "eyes open")


def make_plan(paths: list[Path], folder: Path) -> CachePlan:
    """A window of 2 s at each annotation, and a cache for each release, with the 16 bits of the files."""
    sources = [
        RecordingSource(
            path.stem,
            lambda path=path: edf_recording(path),
            {"subject": path.stem, "release": path.parent.name},
        )
        for path in paths
    ]
    windowing = Windowing(2 * RATE_HZ, sampling_rate_hz=RATE_HZ, events=CONDITIONS)
    return CachePlan(str(folder / "{release}.h5"), sources, windowing, CacheStorage(scale="item"))


def make_model() -> keras.Model:
    model = keras.Sequential(
        [
            keras.layers.Input((CHANNELS, 2 * RATE_HZ)),
            keras.layers.Permute((2, 1)),
            keras.layers.Conv1D(16, 1),
            keras.layers.Conv1D(16, 25, padding="same"),
            keras.layers.Activation(keras.ops.square),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(len(CONDITIONS), activation="softmax"),
        ],
        name="eeg_cnn",
    )
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description="Train, archive and verify a CNN on windows of EDF recordings.")
    parser.add_argument("--root", default="runs", help="the folder of the runs")
    parser.add_argument("--data", type=Path, default=Path("eeg"), help="the folder of recordings and caches")
    parser.add_argument("--subjects", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=80, help="of each recording")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()

    paths = make_recordings(arguments.data / "recordings", arguments.subjects, arguments.seconds, arguments.seed)
    plan = make_plan(paths, arguments.data / "caches")
    caches = plan.caches()
    for path, recordings in caches.items():
        print(build_cache(path, recordings, plan.windowing, plan.storage).final_line())
        archiver.data.verify_cache(path).raise_for_findings()
    windows = archiver.data.JoinedWindows([WindowCache.open(path) for path in caches])

    archiver.seed(arguments.seed)
    fractions = {"train": 0.5, "validation": 0.25, "test": 0.25}
    splits = archiver.data.split_by_group(windows, by="subject", fractions=fractions, seed=arguments.seed)
    batches = {
        name: archiver.data.window_batches(
            windows,
            numbers=numbers,
            batch_size=16,
            seed=arguments.seed,
            shuffle="windows" if name == "train" else False,
        )
        for name, numbers in splits.items()
    }
    archive = archiver.RunArchiver(
        arguments.root,
        condition="eeg",
        architecture="cnn",
        config="windows",
        class_names=list(CONDITIONS),
        hyperparameters=arguments,
        dataset_source={"name": "made by examples/eeg_windows.py", "seed": arguments.seed},
        notes={"intended_use": "shows the way from recordings to an archive"},
    )
    make_model().fit(
        batches["train"],
        shuffle=False,  # window_batches shuffles itself
        validation_data=batches["validation"],
        epochs=arguments.epochs,
        verbose=2,
        callbacks=[archive],
    )
    run = archive.finalize(test_data=batches["test"])
    archiver.verify(run.path).raise_for_findings()
    print(f"\nreport: {run.path / 'README.md'}")


if __name__ == "__main__":
    main()

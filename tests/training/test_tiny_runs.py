"""The archives that `archiver.testing` makes up are what the callback writes."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import archiver
from archiver import layout
from archiver.archive.run import Run
from archiver.testing import tiny_run
from archiver.testing.numbers import BATCH_SIZE, FEATURES, SAMPLES
from archiver.training.weights import weights_digest


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The model of a tiny run, really trained."""
    generator = np.random.default_rng(0)
    (x, y), validation, test = (
        (generator.random((SAMPLES, FEATURES), dtype="float32"), generator.integers(0, 2, SAMPLES)) for _ in range(3)
    )
    model = keras.Sequential(
        [
            keras.layers.Input((FEATURES,)),
            keras.layers.Dense(160, activation="relu", name="dense"),
            keras.layers.Dropout(0.5, name="dropout"),
            keras.layers.Dense(2, activation="softmax", name="dense_1"),
        ],
        name="tiny",
    )
    model.compile("sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    folder = tmp_path_factory.mktemp("real")
    (folder / "notes.txt").write_text("notes")
    archive = archiver.RunArchiver(
        folder, name="tiny", class_names=["even", "odd"], tags=["a"], notes="b", sampling_hertz=50
    )
    archive.add_file(folder / "notes.txt")
    archive.log("answer", 42)
    grows = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(val_loss=epoch + 1.0))
    model.fit(
        x,
        y,
        batch_size=BATCH_SIZE,
        epochs=2,
        validation_data=validation,
        verbose=0,
        shuffle=True,
        callbacks=[grows, archive],
    )
    return archive.finalize(test_data=test)


def files_of(run: Run) -> set[str]:
    varying = (layout.SOURCE_FILES, layout.PATCH, layout.TEMPERATURE_TRACE)
    paths = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()}
    return {path for path in paths if not any(entry.matches(path, run.name) for entry in varying)}


def shape_of(value: Any) -> Any:
    """Which keys a document has, and of what kind its values are; numbers may be whole or not."""
    if isinstance(value, dict):
        return (
            "unavailable" if value.keys() == {"unavailable"} else {key: shape_of(value[key]) for key in sorted(value)}
        )
    if isinstance(value, list):
        return [shape_of(value[0])] if value else []
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def details_of(run: Run) -> dict[str, set[frozenset[str]]]:
    found = defaultdict(set)
    for event in run.journal.read().events:
        found[event.event].add(frozenset(event.details))
    return dict(found)


@pytest.mark.figures
def test_the_same_files_and_the_same_events(real: Run, tmp_path: Path) -> None:
    tiny = tiny_run(tmp_path, tested=True, figures=True)
    assert files_of(tiny) == files_of(real)
    assert details_of(tiny) == details_of(real)
    names = [event.event for event in real.journal.read().events if event.event not in ("logged", "file_added")]
    assert [e.event for e in tiny.journal.read().events if e.event not in ("logged", "file_added")] == names


@pytest.mark.parametrize(
    "file", [
        layout.RESULTS, layout.TEST_SCORES, layout.HISTORY, layout.WEIGHTS, layout.CHECKPOINT_STATE,
        layout.OPTIMIZER_CONFIG, layout.DATASET_STATS, layout.TELEMETRY,
    ],
    ids=lambda file: file.record.KIND,
)  # fmt: skip
def test_the_same_fields(file: layout.RecordFile, real: Run, tmp_path: Path) -> None:
    tiny = tiny_run(tmp_path, tested=True)
    left_open = ("config", "random_state", "not_kept")
    documents = [json.loads(run.path_of(file).read_bytes()) for run in (tiny, real)]
    for document in documents:
        for key in left_open:
            document.pop(key, None)
        for phase in document.get("phases", ()):
            phase.pop("config", None)
    assert shape_of(documents[0]) == shape_of(documents[1])


def test_the_same_places_in_the_model_files(real: Run, tmp_path: Path) -> None:
    tiny = tiny_run(tmp_path)
    places = [
        [(part.path, part.layer, part.dtype, part.shape, part.locations) for part in run.read(layout.WEIGHTS).variables]
        for run in (tiny, real)
    ]
    assert places[0] == places[1]


def test_keras_loads_them(tmp_path: Path) -> None:
    run = tiny_run(tmp_path)
    digest = run.read(layout.WEIGHTS).weights_digest
    model = keras.saving.load_model(run.path_of(layout.KERAS_MODEL))
    assert weights_digest(model.weights) == digest
    model.load_weights(run.path_of(layout.BEST_WEIGHTS))
    assert weights_digest(model.weights) == run.read(layout.RESULTS).best_epoch.weights_digest
    model.load_weights(run.path_of(layout.WEIGHTS_H5))
    assert weights_digest(model.weights) == digest
    legacy = keras.saving.load_model(run.path_of(layout.H5_MODEL), compile=False)
    assert weights_digest(legacy.weights) == digest
    assert re.fullmatch(r"[0-9a-f]{64}", digest)

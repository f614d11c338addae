"""docs/records.md tells the truth: its fields exist in the schemas and in a real archive; nothing is left out."""

import functools
import json
from typing import Any

import keras
import numpy as np
import pytest

import archiver
from archiver import layout
from archiver.archive.run import Run
from tests import records_reference as reference

PROMISES = {
    "A2": [
        "operating system", "version", "architecture", "processor", "model", "cores", "flags", "memory", "disk", "GPU",
        "Python", "installed package", "paths", "visible devices", "mixed precision", "eager execution", "thread pools",
        "determinism", "XLA", "oneDNN", "resource use during training",
    ],
    "A3": [
        "summary", "layer by layer", "total", "trainable", "non-trainable", "config", "input and output shapes",
        "dtype", "shape", "statistics", "the model's config", "exact input and output shapes",
    ],
    "A4": [
        "learning rate", "schedule", "batch size", "epochs", "steps", "shuffle", "class and sample weights",
        "validation", "optimizer: config", "state", "loss", "metrics", "preprocessing", "augmentation",
        "resource limits", "thermal settings", "random seeds", "callbacks", "hyper-parameters",
    ],
    "A5": [
        "loss", "every metric", "best and worst", "improvement", "mean", "standard deviation", "rate", "progression",
        "stability", "stopped improving", "timing of each phase", "resource use", "thermal record with cooling breaks",
    ],
    "A6": [
        "accuracy", "precision", "recall", "loss", "per class", "confusion matrix", "learning curves", "best epoch",
        "validation metrics",
    ],
    "A7": [
        "sample counts", "class distribution", "split ratios", "source paths", "class names", "shapes", "dtypes",
        "ranges", "missing", "images", "formats", "preprocessing applied", "fingerprint",
    ],
    "A8": [
        "branch", "commit", "status", "uncommitted changes", "package versions", "environment variables", "MD5",
        "UTC and local times",
    ],
    "A9": [
        "peak and current memory", "duration of each phase", "CPU and GPU utilisation", "temperatures",
        "cooling breaks", "process state", "boot time", "load averages",
    ],
    "A10": ["all formats", "checkpoint", "optimizer's complete state", "statistics of the weights"],
}  # fmt: skip
"""What REQUIREMENTS names, subject by subject."""

FIELDS = sorted(
    {field for subject in reference.items() for each in subject["details"] for field in reference.fields_of(each)}
)


def test_the_page_is_the_generated_one():
    assert reference.REFERENCE.read_text(encoding="utf-8") == reference.reference(), "run `make records`"


def test_no_promise_is_left_out():
    details = {
        subject["code"]: " | ".join(each["name"] for each in subject["details"]) for subject in reference.items()
    }
    assert list(details) == list(PROMISES)
    missing = {
        code: [p for p in promised if p.lower() not in details[code].lower()] for code, promised in PROMISES.items()
    }
    assert not any(missing.values()), missing


@pytest.mark.parametrize("field", FIELDS)
def test_the_schemas_have_it(field):
    assert reference.resolve(field)


def test_a_field_that_is_not_there_is_found():
    with pytest.raises(LookupError, match="there is no 'no_such'"):
        reference.resolve("results#/test/no_such")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs")
    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 4)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("int64")
    (folder / "data").mkdir()
    np.save(folder / "data" / "x.npy", x)
    model = keras.Sequential(
        [keras.layers.Input((4,)), keras.layers.Dense(8), keras.layers.Dropout(0.2), keras.layers.Dense(2, "softmax")]
    )
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    archive = archiver.RunArchiver(
        folder / "runs", name="a", dataset_source=folder / "data", class_names=["no", "yes"], hyperparameters={"a": 1}
    )
    stopping = keras.callbacks.EarlyStopping(patience=1)
    model.fit(x[:40], y[:40], validation_data=(x[40:50], y[40:50]), epochs=3, verbose=0, callbacks=[stopping, archive])
    return archive.finalize(test_data=(x[50:], y[50:]))


@functools.cache
def document(run: Run, kind: str) -> Any:
    if kind == "journal_event":
        return json.loads(run.path_of(layout.JOURNAL).read_text().splitlines()[0])
    entry = next(entry for entry in layout.RECORD_FILES if kind == entry.record.KIND)
    return json.loads(run.path_of(entry).read_bytes())


@pytest.mark.parametrize("field", FIELDS)
def test_a_real_archive_has_it_or_says_why_not(field, run):
    kind, _, pointer = field.partition("#")
    assert found(document(run, kind), [part for part in pointer.split("/") if part]), field


def found(value: Any, steps: list[str]) -> bool:
    """Whether every branch leads to a value, to nothing at all, or to a reason."""
    if not steps or value is None:
        return True
    if isinstance(value, dict) and value.get("unavailable") is not None:
        return isinstance(value["unavailable"], str) and bool(value["unavailable"])
    if steps[0] == "*":
        inner = value.values() if isinstance(value, dict) else value
        return all(found(each, steps[1:]) for each in inner)
    if steps[0] == "images" and "kind" in value:  # only folders of images have it
        return True
    return steps[0] in value and found(value[steps[0]], steps[1:])


def test_reasons_are_sentences(run):
    """A reason tells a reader what is the matter: it is no bare name of an exception."""
    reasons = {
        reason
        for entry in layout.RECORD_FILES
        if run.has(entry)
        for reason in reasons_in(document(run, entry.record.KIND))
    }
    assert reasons
    assert not [reason for reason in reasons if len(reason.split()) < 3]


def reasons_in(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["unavailable"]} if isinstance(value.get("unavailable"), str) else set()
        return own.union(*(reasons_in(each) for each in value.values()))
    return set().union(*(reasons_in(each) for each in value)) if isinstance(value, list) else set()

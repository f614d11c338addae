"""Deliberate changes: each gets the right verdict, with the true cause first.

A repetition is that of the archive, so what is changed is changed in a copy of the project whose run is compared with
the first one, as `archiver reproduce` compares.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from archiver import layout
from archiver.archive.run import Run
from archiver.records.reproduction import VerdictPart
from archiver.reproduction.verdict import verdict
from archiver.sealing import changing
from tests.reproduction.trainings import TRAIN, Order, quiet, run_all

pytestmark = pytest.mark.timeout(600)

CALLS = {
    "original": "train()",
    "same": "train()",
    "seed": "train(seed=4)",
    "data": "train(change=0.5)",
    "epochs": "train(epochs=3)",
    "source": "train()",
    "threads": "train()",
    "onednn": "train()",
}
VARIABLES = {
    "threads": {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"},
    "onednn": {"TF_ENABLE_ONEDNN_OPTS": "0"},
}
MODULE = TRAIN.replace('Dense(units, "relu")', "Dense(units, activation)").replace(
    "def train(", "def activation(x):\n    return keras.ops.relu(x)\n\ndef train("
)
CHANGED_MODULE = MODULE.replace("keras.ops.relu(x)", "keras.ops.relu(x) * 1.25")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Run]:
    """A run for each change, in a folder of the same name."""
    base, orders = tmp_path_factory.mktemp("matrix"), []
    for name, call in CALLS.items():
        folder = base / name / "project"
        folder.mkdir(parents=True)
        (folder / "mine.py").write_text(CHANGED_MODULE if name == "source" else MODULE)
        (folder / "train.py").write_text(
            f"import mine\nimport settings\nmine.{call.replace('train(', 'train(**settings.X, ')}\n"
        )
        (folder / "settings.py").write_text("X = {}\n")
        if name != "onednn":
            orders.append(Order(str(folder), ["train.py"], variables=VARIABLES.get(name, {})))
    run_all(orders)
    # oneDNN is chosen when TensorFlow is loaded: that needs a process of its own.
    command = [sys.executable, "train.py"]
    subprocess.run(command, cwd=folder, env=quiet() | VARIABLES["onednn"], check=True, capture_output=True)
    return {name: Run.open(base / name / "project" / "runs" / "a_models") for name in CALLS}


def judged(runs: dict[str, Run], name: str) -> VerdictPart:
    return verdict(runs["original"], runs[name])


def test_nothing_is_changed(runs):
    found = judged(runs, "same")
    assert (found.judgement, found.largest_difference, found.first_divergence) == ("identical", None, None)
    assert {"weights digest", "metrics of 2 epochs", "predictions on the test data"} <= set(found.compared)


@pytest.mark.parametrize(
    ("change", "kind", "word"),
    [
        ("seed", "seeds", "seed"),
        ("data", "data", "train data"),
        ("epochs", "configuration", "epochs"),
        ("source", "code", "mine.py"),
    ],
)
def test_another_result_has_its_cause_first(runs, change, kind, word):
    found = judged(runs, change)
    assert found.judgement == "diverged"
    assert (found.causes[0].kind, word in found.causes[0].text) == (kind, True), found.causes[:4]


@pytest.mark.parametrize(("change", "word"), [("threads", "thread"), ("onednn", "oneDNN")])
def test_a_setting_is_first_whether_or_not_it_changes_bits(runs, change, word):
    """Sums this small may come out the same: then the verdict is identical, and the setting is what differs."""
    found = judged(runs, change)
    assert found.judgement in ("identical", "equivalent")
    assert (found.causes[0].kind, word.lower() in found.causes[0].text.lower()) == ("settings", True), found.causes[:4]


def test_another_version_of_a_package_is_first(runs):
    """The version is changed in the record: to install another NumPy takes minutes."""
    packages = runs["threads"].read(layout.PACKAGES)
    other = packages.packages["numpy"].model_copy(update={"version": "1.0", "record_sha256": "0" * 64})
    run = runs["same"]
    before = run.read(layout.PACKAGES)
    with changing(run):
        run.write(layout.PACKAGES, before.model_copy(update={"packages": before.packages | {"numpy": other}}))
    found = judged(runs, "same")
    assert (found.causes[0].kind, "numpy" in found.causes[0].text) == ("packages", True), found.causes[:3]

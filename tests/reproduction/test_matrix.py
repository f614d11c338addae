"""Deliberate changes: each gets the right verdict, with the true cause first.

A repetition is that of the archive, so what is changed is changed in a copy of the project whose run is compared with
the first one, as `archiver reproduce` compares.
"""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from archiver import layout
from archiver.archive.run import Run
from archiver.records.reproduction import VerdictPart
from archiver.reproduction.verdict import verdict
from tests.reproduction.trainings import ROOT, TRAIN, Order, quiet, run_all

pytestmark = pytest.mark.timeout(600)

CALLS = {
    "original": "train()",
    "same": "train()",
    "seed": "train(seed=4, tested=False)",
    "data": "train(change=0.5, tested=False)",
    "epochs": "train(epochs=3, tested=False)",
    "source": "train()",
    "threads": "train()",
    "version": "train()",
    "onednn": "train()",
}
VARIABLES = {
    "threads": {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"},
    "onednn": {"TF_ENABLE_ONEDNN_OPTS": "0"},
}
MODULE = "import tinyscale\n" + TRAIN.replace('Dense(units, "relu")', "Dense(units, activation)").replace(
    "def train(", "def activation(x):\n    return keras.ops.relu(x) * tinyscale.FACTOR\n\ndef train("
)
CHANGED_MODULE = MODULE.replace("keras.ops.relu(x)", "keras.ops.relu(x) * 1.25")


def install(folder: Path, version: str, factor: float) -> str:
    """Install a wheel of `tinyscale` without network; the folder is an entry for the path of modules."""
    metadata, files = f"tinyscale-{version}.dist-info", {"tinyscale.py": f"FACTOR = {factor}\n"}
    files[f"{metadata}/METADATA"] = f"Metadata-Version: 2.1\nName: tinyscale\nVersion: {version}\n"
    files[f"{metadata}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: a\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    digests = {name: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()) for name, text in files.items()}
    rows = [f"{name},sha256={digest.decode().rstrip('=')},{len(files[name])}\n" for name, digest in digests.items()]
    folder.mkdir()
    wheel, target = folder / f"tinyscale-{version}-py3-none-any.whl", folder / "site-packages"
    with zipfile.ZipFile(wheel, "w") as file:
        for name, text in (files | {f"{metadata}/RECORD": "".join(rows) + f"{metadata}/RECORD,,\n"}).items():
            file.writestr(name, text)
    options = ("--no-index", "--no-deps", "--no-compile", "--disable-pip-version-check", "--target", target)
    subprocess.run([sys.executable, "-m", "pip", "install", *options, wheel], check=True, capture_output=True)
    return str(target)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Run]:
    """A run for each change, in a folder of the same name."""
    base, orders = tmp_path_factory.mktemp("matrix"), []
    older, newer = install(base / "older", "1.0", 1.0), install(base / "newer", "1.1", 1.25)
    for name, call in CALLS.items():
        folder = base / name / "project"
        folder.mkdir(parents=True)
        (folder / "mine.py").write_text(CHANGED_MODULE if name == "source" else MODULE)
        (folder / "train.py").write_text(
            f"import mine\nimport settings\nmine.{call.replace('train(', 'train(**settings.X, ')}\n"
        )
        (folder / "settings.py").write_text("X = {}\n")
        if name != "onednn":
            path = [newer if name == "version" else older]
            orders.append(Order(str(folder), ["train.py"], path, VARIABLES.get(name, {})))
    run_all(orders)
    # oneDNN is chosen when TensorFlow is loaded: that needs a process of its own.
    environment = quiet() | VARIABLES["onednn"] | {"PYTHONPATH": os.pathsep.join((str(ROOT), older))}
    command = [sys.executable, "train.py"]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
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
        ("version", "packages", "package tinyscale: 1.0, now 1.1"),
    ],
)
def test_another_result_has_its_cause_first(runs, change, kind, word):
    found = judged(runs, change)
    assert found.judgement == "diverged"
    assert (found.causes[0].kind, word in found.causes[0].text) == (kind, True), found.causes[:4]


def test_the_other_version_was_installed(runs):
    parts = [runs[name].read(layout.PACKAGES).packages["tinyscale"] for name in ("original", "version")]
    assert [part.version for part in parts] == ["1.0", "1.1"]
    assert len({part.record_sha256 for part in parts}) == 2


@pytest.mark.parametrize(("change", "word"), [("threads", "thread"), ("onednn", "oneDNN")])
def test_a_setting_is_first_whether_or_not_it_changes_bits(runs, change, word):
    """Sums this small may come out the same: then the verdict is identical, and the setting is what differs."""
    found = judged(runs, change)
    assert found.judgement in ("identical", "equivalent")
    assert (found.causes[0].kind, word.lower() in found.causes[0].text.lower()) == ("settings", True), found.causes[:4]

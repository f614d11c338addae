"""The examples run as they stand, and what they write is whole."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import archiver
from archiver import layout
from archiver.testing import add_phase, tiny_run
from tests.training.scripts import Server

EXAMPLES = Path(__file__).parent.parent / "examples"


def outline(report: Path) -> list[str]:
    """What depends neither on numbers nor on the machine: headings, heads of tables, folds, figures."""
    text = report.read_text(encoding="utf-8")
    text = re.sub(r"(?<=^## Machine and resources\n).*?(?=^## )", "", text, flags=re.MULTILINE | re.DOTALL)
    heads = r"^(?:#+ .+|\|.*\|(?=\n\| ?--)|<details><summary>[^(<\n]+|!\[.*\]\(\S+\))"
    found = re.findall(heads, text, re.MULTILINE)
    return [re.sub(r"^!\[.*\]", "", line) for line in found if not line.startswith("### The code")]


def run_example(server: Server, folder: Path, script: str, *arguments: str) -> str:
    """What it prints; TensorFlow is loaded once for all of them."""
    ended = server.run_file(folder, EXAMPLES / script, *arguments)
    assert ended.exit_code == 0, ended.errors[-3000:]
    return ended.output


IN_A_PROCESS_OF_ITS_OWN = "diabetes_regression.py"


@pytest.mark.parametrize(
    ("script", "run", "phases", "headline"),
    [
        ("transfer_learning.py", "digits5to9_cnn_transfer", 2, "inputs into 5 classes. Test accuracy"),
        ("diabetes_regression.py", "diabetes_mlp_cosine", 1, "**Regression of 10 inputs. Test mean absolute error"),
    ],
)
def test_an_example_runs(server, tmp_path, script, run, phases, headline):
    arguments = ["--root", str(tmp_path / "runs"), "--epochs", "2"]
    if script == IN_A_PROCESS_OF_ITS_OWN:
        command = [sys.executable, str(EXAMPLES / script), *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        output = done.stdout
    else:
        output = run_example(server, tmp_path, script, *arguments)
    found = archiver.Run.open(tmp_path / "runs" / f"{run}_models")
    archiver.verify(found.path, deep=True).raise_for_findings()
    assert len(found.read(layout.HISTORY).phases) == phases
    assert headline in found.path_of(layout.README).read_text(encoding="utf-8")
    assert str(found.path_of(layout.README_HTML)) in output
    shown = EXAMPLES.parent / "docs" / "reports" / script.removesuffix(".py") / "README.md"
    assert outline(shown) == outline(found.path_of(layout.README)), "`make reports` writes the shown ones anew"
    assert (shown.parent / "figures").is_dir()


@pytest.mark.parametrize(
    ("script", "run", "said"),
    [
        ("eeg_windows.py", "eeg_cnn_windows", "COMPLETE: 4 recordings, 160 windows"),
        ("motion_windows.py", "motion_two_inputs_augmented", "test accuracy over 5 views: "),
    ],
)
def test_an_example_of_data_on_disk_runs(server, tmp_path, script, run, said):
    folders = ["--root", str(tmp_path / "runs"), "--data", str(tmp_path / "data")]
    assert said in run_example(server, tmp_path, script, *folders, "--epochs", "3")
    found = archiver.Run.open(tmp_path / "runs" / f"{run}_models")
    archiver.verify(found.path, deep=True).raise_for_findings()
    stats = found.read(layout.DATASET_STATS)
    assert {part.kind for part in stats.splits.values()} == {"windows"}
    assert stats.shared_groups["train"]["validation"]["subject"].count == 0
    assert found.read(layout.PREPROCESSING).data_sets["train"]["split"]["by"] == "subject"
    assert found.read(layout.RESULTS).test.metrics["accuracy"] > 0.4


def test_the_example_of_an_ensemble_runs(tmp_path):
    command = [
        sys.executable,
        str(EXAMPLES / "ensemble_hill_climbing.py"),
        "--root",
        str(tmp_path),
        "--candidates",
        "2",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "COMPLETE: 2 of 2 candidates" in done.stdout
    for run in tmp_path.glob("*_models"):
        archiver.verify(run, deep=True).raise_for_findings()


def test_an_archive_is_read_without_archiver(tmp_path):
    """By the specification alone: the same status, digest of the weights and faults."""
    run = tiny_run(tmp_path, tested=True)
    add_phase(run)
    command = [sys.executable, "-I", str(EXAMPLES / "read_without_archiver.py"), str(run.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[:2] == ["tiny: complete, sealed", f"seal id: {run.seal_id}"]
    assert f"weights digest: {run.read(layout.WEIGHTS).weights_digest}\n" in done.stdout
    assert done.stdout.endswith("every file is what was sealed\n")
    run.path_of(layout.STEPS).write_text("changed")
    (run.path / "added").touch()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "FAULT added is not listed in manifest-sha256.txt" in done.stdout
    assert "FAULT traces/steps.csv is not what was sealed (sha256)" in done.stdout

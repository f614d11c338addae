"""The demo, run again in an environment that is made of the recorded packages: minutes, so with `make packaging`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import archiver
from archiver import layout
from archiver.archive.run import Run
from tests.reproduction.trainings import ROOT, quiet

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(1800)]


def run(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = quiet() | {"XDG_CACHE_HOME": str(folder / "cache")}
    command = [str(word) for word in words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_demo_is_identical_in_a_rebuilt_environment(tmp_path):
    script = ROOT / "examples" / "digits_cnn.py"
    made = run(sys.executable, script, "--root", "runs", "--epochs", "2", folder=tmp_path)
    assert made.returncode == 0, made.stderr[-3000:]
    program = Path(sys.executable).parent / "archiver"
    options = ("--environment", "rebuild", "--output", "again")
    done = run(program, "reproduce", "runs/digits_cnn_base_models", *options, folder=tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert "\nIDENTICAL: " in done.stdout
    repetition = Run.open(tmp_path / "again" / "digits_cnn_base_models")
    archiver.verify(repetition.path, deep=True).raise_for_findings()
    record = repetition.read(layout.REPRODUCTION)
    assert record.environment.kind == "rebuild"
    assert record.environment.differences == ()
    assert record.environment.packages_compared > 50
    assert os.path.expanduser(record.command[0]).startswith(str(tmp_path / "cache"))
    prefix = repetition.read(layout.SYSTEM).python.prefix
    assert os.path.expanduser(prefix) == str(Path(os.path.expanduser(record.command[0])).parents[1])

"""Going on after a kill on Keras' other backends, each in processes of its own."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

import archiver
from tests.property.campaigns import campaign
from tests.training import scripts
from tests.training.resume_scripts import COMMON, SCENARIOS


def run(
    folder: Path, name: str, backend: str, *, every: object = None, kill_after_steps: int | None = None
) -> scripts.Ended:
    folder.mkdir(parents=True, exist_ok=True)
    options = {"every": every, "step_seconds": 0.02, "kill_after_seconds": None, "kill_after_steps": kill_after_steps}
    (folder / "options.json").write_text(json.dumps(options))
    return scripts.run_plain(folder, COMMON + SCENARIOS[name], KERAS_BACKEND=backend)


@pytest.mark.backend
@pytest.mark.stress
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("backend", "name", "every", "first_step"),
    [
        ("jax", "lstm", 1, 13),  # with all steps of an epoch done
        ("torch", "arrays", "epoch", 19),  # within an epoch
        ("torch", "lstm", 1, 13),
        ("jax", "arrays", "epoch", 19),
    ][: campaign(2, 4)],
)
def test_backend(backend: str, name: str, every: object, first_step: int, tmp_path: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    whole = run(tmp_path / "whole", name, backend)
    assert whole.exit_code == 0, whole.errors
    folder = tmp_path / "killed"
    for step in (first_step, 3)[: campaign(1, 2)]:
        assert run(folder, name, backend, every=every, kill_after_steps=step).exit_code == -9
    again = run(folder, name, backend, every=every)
    assert again.exit_code == 0, again.errors
    assert again.told("result")[-1] == whole.told("result")[-1]
    archiver.verify(folder / "runs" / "run_models", deep=True).raise_for_findings()

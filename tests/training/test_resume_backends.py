"""Going on after a kill on Keras' other backends, each in processes of its own."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import archiver
from tests.property.campaigns import campaign
from tests.training import scripts
from tests.training.resume_scripts import COMMON, SCENARIOS


def write_options(folder: Path, *, every: object = None, kill_after_steps: int | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    options = {"every": every, "step_seconds": 0.02, "kill_after_seconds": None, "kill_after_steps": kill_after_steps}
    (folder / "options.json").write_text(json.dumps(options))
    return folder


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
def test_backend(
    backend: str, name: str, every: object, first_step: int, server_of: Callable[[str], scripts.Server], tmp_path: Path
) -> None:
    """The one that is not killed runs in an interpreter of its own, with hashes of its own."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    server, body, folder = server_of(backend), COMMON + SCENARIOS[name], tmp_path / "killed"
    whole = scripts.run_plain(write_options(tmp_path / "whole"), body, KERAS_BACKEND=backend)
    assert whole.exit_code == 0, whole.errors
    for step in (first_step, 3)[: campaign(1, 2)]:
        assert server.run(write_options(folder, every=every, kill_after_steps=step), body).exit_code == -9
    again = server.run(write_options(folder, every=every), body)
    assert again.exit_code == 0, again.errors
    assert again.told("result")[-1] == whole.told("result")[-1]
    archiver.verify(folder / "runs" / "run_models", deep=True).raise_for_findings()

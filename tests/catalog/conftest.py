"""A store of a few runs, made once; tests that change it take a copy."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from archiver import layout
from archiver.archive.run import Run
from archiver.testing import tiny_run


def change(run: Run, file: layout.RecordFile[Any], **values: Any) -> None:
    """Set fields of a record, whatever becomes of its seal; catalogues do not verify."""
    path = run.path_of(file)
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.fixture(scope="session")
def made_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    for number in range(4):
        run = tiny_run(root, f"run_{number}", tested=number == 0)
        peaks = json.loads(run.path_of(layout.RESULTS).read_text())["peaks"] | {"rss_bytes": (number + 1) << 30}
        metrics = {"score": number / 4, "cost": 1.0}
        change(run, layout.RESULTS, final_metrics=metrics, training_seconds=60.0, peaks=peaks)
    (root / "nested" / "deeper").mkdir(parents=True)
    tiny_run(root / "nested" / "deeper", "below", status="failed", sealed=True)
    tiny_run(root, "unsealed", sealed=False)
    return root


@pytest.fixture
def store(made_store: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "runs"
    # Tests that only read make a catalogue there, in any order.
    shutil.copytree(made_store, copy, ignore=shutil.ignore_patterns("*catalog.db*"))
    return copy

"""A real tracking store on the disk, read back through MLflow's own client."""

import importlib.util
import json
import os
import posixpath
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver import layout, verify
from archiver.archive.run import Run
from archiver.errors import MissingExtraError
from archiver.export import mlflow_values
from archiver.export.mlflow_store import SEAL_TAG, export_mlflow
from archiver.export.mlflow_values import epoch_metrics, key, parameters
from archiver.testing import tiny_run

HAS_MLFLOW = importlib.util.find_spec("mlflow") is not None

# In a process of its own: MLflow takes a second to import, and warns of what is none of our business.
SESSION = """
import json, sys
from pathlib import Path
from mlflow import MlflowClient
from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.export.mlflow_store import export_mlflow

store, steps = sys.argv[1], json.loads(sys.argv[2])
client = MlflowClient(tracking_uri=store)
made = []
for step in steps:
    if step.pop("break_artifacts", False):
        MlflowClient.log_artifacts = lambda *arguments, **options: 1 / 0
    if delete := step.pop("delete_experiment", None):
        client.delete_experiment(client.get_experiment_by_name(delete).experiment_id)
    try:
        done = export_mlflow(Run.open(step.pop("run")), tracking_uri=store, **step)
        made.append({"run_id": done.run_id, "is_new": done.is_new, "experiment": done.experiment})
    except ArchiverError as error:
        made.append({"error": type(error).__name__, "message": str(error)})
experiments = client.search_experiments()
runs = client.search_runs([each.experiment_id for each in experiments])
names = {each.experiment_id: each.name for each in experiments}
def files(run_id, path=None):
    for each in client.list_artifacts(run_id, path):
        yield from files(run_id, each.path) if each.is_dir else [each.path]
print("FOUND", json.dumps({"made": made, "runs": {run.info.run_id: {
    "experiment": names[run.info.experiment_id], "status": run.info.status, "name": run.info.run_name,
    "start": run.info.start_time, "end": run.info.end_time, "params": run.data.params, "tags": run.data.tags,
    "metrics": {name: [[m.step, m.timestamp, m.value] for m in client.get_metric_history(run.info.run_id, name)]
                for name in run.data.metrics},
    "files": sorted(files(run.info.run_id)), "artifact_uri": run.info.artifact_uri,
} for run in runs}}))
"""


@dataclass(frozen=True)
class Tracked:
    """What one session with MLflow did, and what its client finds afterwards."""

    folder: Path
    store: str
    made: dict[str, Any]
    """By step."""
    runs: dict[str, Any]
    """By number."""

    def run_of(self, step: str) -> Any:
        return self.runs[self.made[step]["run_id"]]


@pytest.fixture(scope="module")
def tracked(sealed: Run, tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    """All in one process and one store: a new one takes MLflow seconds."""
    if not HAS_MLFLOW:
        assert not os.environ.get("CI"), "the extra `dev` installs MLflow"
        pytest.skip('needs MLflow: pip install "keras-archiver[mlflow]"')
    folder = tmp_path_factory.mktemp("tracked")
    failed, killed = (tiny_run(folder, status, status=status) for status in ("failed", "interrupted"))
    twice, other = tiny_run(folder, "twice", phases=2), tiny_run(folder, "other")
    plain = {"with_artifacts": False}
    steps: dict[str, dict[str, Any]] = {
        "first": {"run": str(sealed.path), "experiment": "team"},
        "second": {"run": str(sealed.path), "experiment": "team"},
        "elsewhere": {"run": str(sealed.path), "experiment": "others", **plain},
        "failed": {"run": str(failed.path), **plain},
        "killed": {"run": str(killed.path), **plain},
        "twice": {"run": str(twice.path), **plain},
        "deleted": {"run": str(other.path), "experiment": "others", "delete_experiment": "others", **plain},
        "broken": {"run": str(other.path), "break_artifacts": True},
    }
    store = f"sqlite:///{folder}/mlflow.db"
    command = [sys.executable, "-c", SESSION, store, json.dumps(list(steps.values()))]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    found = json.loads(result.stdout.split("FOUND ", 1)[1])
    return Tracked(folder, store, dict(zip(steps, found["made"], strict=True)), found["runs"])


def test_all_of_a_run_is_there(sealed, tracked):
    logged = tracked.run_of("first")
    results, history = sealed.read(layout.RESULTS), sealed.read(layout.HISTORY).phases[0]
    assert (logged["experiment"], logged["status"], logged["name"]) == ("team", "FINISHED", "tiny")
    assert logged["start"] == int(results.started.timestamp() * 1000)
    assert logged["end"] == int(results.ended.timestamp() * 1000)
    assert logged["params"] == parameters(sealed)
    assert logged["params"]["batch_size"] == "16"
    assert logged["params"]["optimizer.config.learning_rate"] == "0.01"
    assert logged["tags"][SEAL_TAG] == sealed.seal_id
    assert logged["tags"]["archiver.host"] == sealed.read(layout.RUN).process.host
    ends = [int(event.utc.timestamp() * 1000) for event in sealed.journal.read().events if event.event == "epoch_ended"]
    for name, values in history.metrics.items():
        assert logged["metrics"][name] == [list(each) for each in zip(history.epochs, ends, values, strict=True)]
    assert logged["metrics"]["test_loss"][0][2] == results.test.metrics["loss"]
    assert logged["metrics"]["answer"][0][2] == 42


def test_the_files_are_the_archive(sealed, tracked):
    logged = tracked.run_of("first")
    listed = [each.relative_to(sealed.path).as_posix() for each in sealed.path.rglob("*") if each.is_file()]
    assert logged["files"] == sorted(f"tiny_models/{each}" for each in listed)
    copy = Path(logged["artifact_uri"].removeprefix("file://")) / "tiny_models"
    assert verify(tracked.folder / copy, algorithm="all").seal_id == sealed.seal_id
    assert not tracked.run_of("twice")["files"]


def test_the_same_seal_is_one_run_in_an_experiment(sealed, tracked):
    assert [tracked.made[step]["is_new"] for step in ("first", "second", "elsewhere")] == [True, False, True]
    assert tracked.made["first"]["run_id"] == tracked.made["second"]["run_id"]
    assert sum(each["experiment"] == "team" for each in tracked.runs.values()) == 1
    options = ["--to", "mlflow", "--tracking-uri", tracked.store, "--experiment", "team"]
    command = [sys.executable, "-m", "archiver", "export", str(sealed.path), *options]
    result = subprocess.run(command, cwd=tracked.folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    assert f"is there already as run {tracked.made['first']['run_id']}" in result.stdout


def test_how_a_run_ended(tracked):
    assert [tracked.run_of(step)["status"] for step in ("failed", "killed", "twice")] == [
        "FAILED",
        "KILLED",
        "FINISHED",
    ]
    assert "made up by archiver.testing" in tracked.run_of("failed")["tags"]["archiver.exception"]
    assert tracked.run_of("failed")["experiment"] == "failed"  # the run's name


def test_calls_of_fit_follow_each_other(tracked):
    logged = tracked.run_of("twice")
    assert [step for step, _, _ in logged["metrics"]["loss"]] == [0, 1, 2, 3]
    assert (logged["params"]["epochs"], logged["params"]["phase_1.epochs"]) == ("2", "2")


def test_what_fails_is_said_and_leaves_no_run(tracked):
    assert "was deleted in MLflow" in tracked.made["deleted"]["message"]
    assert tracked.made["broken"]["error"] == "StorageError"
    assert "refused: ZeroDivisionError" in tracked.made["broken"]["message"]
    assert "other" not in {each["name"] for each in tracked.runs.values()}


def test_without_mlflow_it_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match=r'pip install "keras-archiver\[mlflow\]"'):
        export_mlflow(run, tracking_uri="sqlite://")


# -- values, without MLflow


@given(st.text(max_size=400))
def test_keys_are_what_every_store_takes(text):
    """As MLflow's `validate_param_name` has it: characters, length, and no way out of a folder."""
    name = key(text)
    assert re.fullmatch(r"[/\w.\- ]+", name)
    assert len(name) <= 250
    assert posixpath.normpath(name) == name
    assert name != "."
    assert not name.startswith(("..", "/"))


def test_keys_that_are_fine_stay():
    for text in ("loss", "val_loss", "a/b", "optimizer.config.learning_rate", "my metric-1"):
        assert key(text) == text


def test_long_values_are_cut(run, monkeypatch):
    monkeypatch.setattr(mlflow_values, "MAXIMAL_PARAMETER_CHARACTERS", 10)
    assert all(len(text) <= 10 for text in parameters(run).values())


def test_metrics_without_a_value_are_left_out(run):
    names = {value.name for value in epoch_metrics(run)}
    assert names == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "epoch_seconds"}

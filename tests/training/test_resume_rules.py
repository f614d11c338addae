"""The rules of going on: what is refused, what is passed over, what is kept when things go wrong."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import archiver
from archiver import layout
from archiver.archive.run import Run
from archiver.archive.snapshots import checkpoint_folder, newest_snapshot, snapshot_folders
from archiver.errors import ArgumentError
from archiver.storage.journal import events_named
from tests.training import scripts
from tests.training.resume_scripts import COMMON

TRAINING = """
model = compiled(dense(layers.Dropout(0.3)))
archive = archived(memory_limit=LIMIT)
history = model.fit(x, y, batch_size=8, epochs=4, validation_data=(x_val, y_val), verbose=0, callbacks=[*MORE, archive])
told(model, [history])
"""
CUT_OFF = """
class CutOff(keras.callbacks.Callback):
    epoch = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (2, 3) and not os.path.exists("cut off"):
            open("cut off", "w").close()
            for thread in threading.enumerate():
                if thread.name == "archiver-snapshot":
                    thread.join()
            cut_off()

def cut_off():
    os.kill(os.getpid(), signal.SIGKILL)

MORE = [CutOff()]
"""


def run(server: scripts.Server, folder: Path, body: str, every: object = "epoch") -> scripts.Ended:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "options.json").write_text(json.dumps({"every": every, "kill_after_seconds": None, "step_seconds": 0}))
    return server.run(folder, COMMON + "MORE = []\nLIMIT = 0.85\n" + body)


@pytest.fixture(scope="module")
def expected(server: scripts.Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    ended = run(server, tmp_path_factory.mktemp("reference"), TRAINING, every=None)
    assert ended.exit_code == 0, ended.errors
    result: dict[str, Any] = ended.told("result")[-1]
    return result


def run_of(folder: Path) -> Run:
    return Run.open(folder / "runs" / "run_models")


@pytest.fixture
def cut_off(server: scripts.Server, tmp_path: Path) -> Path:
    """A folder with a run that was killed in its third epoch."""
    assert run(server, tmp_path, CUT_OFF + TRAINING).exit_code == -9
    return tmp_path


def assert_goes_on(server: scripts.Server, folder: Path, expected: dict[str, Any], body: str = TRAINING) -> Run:
    ended = run(server, folder, body)
    assert ended.exit_code == 0, ended.errors
    assert ended.told("result")[-1] == expected
    archiver.verify(run_of(folder).path, deep=True).raise_for_findings()
    return run_of(folder)


def test_a_snapshot_that_is_not_whole_is_passed_over(
    server: scripts.Server, cut_off: Path, expected: dict[str, Any]
) -> None:
    (_, newest), (_, before) = snapshot_folders(run_of(cut_off))
    data = (newest / "variables.npz").read_bytes()
    (newest / "variables.npz").write_bytes(data[:-100])
    assert newest_snapshot(run_of(cut_off)).state.epoch == 1
    done = assert_goes_on(server, cut_off, expected)
    (resumed,) = events_named(done.journal.read(), "resumed")
    assert resumed.details["epoch"] == 1
    assert newest.name in resumed.details["snapshots_passed_over"][0]
    assert not before.exists()


def test_without_a_whole_snapshot_it_begins_again(
    server: scripts.Server, cut_off: Path, expected: dict[str, Any]
) -> None:
    for _, folder in snapshot_folders(run_of(cut_off)):
        (folder / "manifest-sha256.txt").unlink()
    done = assert_goes_on(server, cut_off, expected)
    (resumed,) = events_named(done.journal.read(), "resumed")
    assert (resumed.details["epoch"], resumed.details["snapshot"]) == (0, None)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("x = x + 1", "data/x/sha256"),
        ("OPTIMIZER", "optimizer/learning_rate was 0.001"),
        ("EPOCHS", "fit/epochs was 4 and is 5"),
        ("archiver.seed(12)", "seed was 11 and is 12"),
        ("LAYER", "model/layers was"),
    ],
)
def test_another_training_is_refused_and_told_apart(
    server: scripts.Server, cut_off: Path, change: str, named: str
) -> None:
    body = {
        "OPTIMIZER": TRAINING.replace(
            "compiled(dense(layers.Dropout(0.3)))", "compiled(dense(layers.Dropout(0.3)), keras.optimizers.Adam(0.5))"
        ),
        "EPOCHS": TRAINING.replace("epochs=4", "epochs=5"),
        "LAYER": TRAINING.replace("layers.Dropout(0.3)", "layers.Dropout(0.3), layers.Dense(3)"),
    }.get(change, change + "\n" + TRAINING)
    before = sorted(path for path in (cut_off / "runs").rglob("*"))
    ended = run(server, cut_off, body)
    assert ended.exit_code == 1
    assert "RunStateError" in ended.errors
    assert named in ended.errors
    assert 'resume="force"' in ended.errors
    assert sorted(path for path in (cut_off / "runs").rglob("*")) == before


def test_force_goes_on_and_says_so(server: scripts.Server, cut_off: Path) -> None:
    forced = 'archiver.RunArchiver("runs", name="run", resume="force", figures=False)'
    body = TRAINING.replace("epochs=4", "epochs=5").replace("archived(memory_limit=LIMIT)", forced)
    ended = run(server, cut_off, body)
    assert ended.exit_code == 0, ended.errors
    done = run_of(cut_off)
    (resumed,) = events_named(done.journal.read(), "resumed")
    assert resumed.details["exact"] is False
    assert resumed.details["differences"] == ["fit/epochs was 4 and is 5"]
    assert list(done.read(layout.HISTORY).phases[0].epochs) == [0, 1, 2, 3, 4]
    assert archiver.verify(done.path).is_whole


def test_a_complete_run_returns_at_once_and_is_not_touched(
    server: scripts.Server, tmp_path: Path, expected: dict[str, Any]
) -> None:
    body = TRAINING.replace("told(", "archive.finalize(test_data=(x_val, y_val))\ntold(")
    assert run(server, tmp_path, body).exit_code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    steps = "steps = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_: fail('trained'))\nMORE = [steps]\n"
    ended = run(server, tmp_path, steps + body)
    assert ended.exit_code == 0, ended.errors
    assert ended.told("result")[-1] == expected
    assert {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()} == before


def test_an_unfinished_run_is_pointed_out_by_default(server: scripts.Server, cut_off: Path) -> None:
    body = TRAINING.replace(
        "archive = archived(memory_limit=LIMIT)", 'archive = archiver.RunArchiver("runs", name="run", figures=False)'
    )
    ended = run(server, cut_off, body)
    assert ended.exit_code == 0
    assert "unfinished run of the same name" in ended.errors
    assert "resume=True goes on with it" in ended.errors
    assert sorted(os.listdir(cut_off / "runs")) == ["run-2_models", "run_models"]


def test_a_run_that_is_trained_just_now_is_refused(server: scripts.Server, tmp_path: Path) -> None:
    another = """
    import subprocess
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True)
    tell("other", [done.returncode, done.stderr])
"""
    ended = run(server, tmp_path, CUT_OFF.replace("    os.kill(os.getpid(), signal.SIGKILL)\n", another) + TRAINING)
    assert ended.exit_code == 0, ended.errors
    ((code, errors),) = ended.told("other")
    assert code == 1
    assert "the training is still running" in errors


@pytest.mark.parametrize(
    ("number", "every"), [(signal.SIGTERM, "epoch"), (signal.SIGINT, 1000)], ids=["SIGTERM", "SIGINT"]
)
def test_a_signal_leaves_a_snapshot_of_its_step(
    server: scripts.Server, tmp_path: Path, expected: dict[str, Any], number: signal.Signals, every: object
) -> None:
    body = CUT_OFF.replace("signal.SIGKILL", f"signal.{number.name}") + TRAINING
    ended = run(server, tmp_path, body, every)
    assert ended.exit_code in (143, 1, -signal.SIGINT), ended.errors
    done = run_of(tmp_path)
    assert (done.status.status, done.status.stop_reason, done.status.sealed) == ("failed", "signal", True)
    archiver.verify(done.path, deep=True).raise_for_findings()
    snapshot = newest_snapshot(done)
    assert (snapshot.state.epoch, snapshot.state.step) == (2, 4)
    assert_goes_on(server, tmp_path, expected)


def test_an_exception_leaves_the_snapshots(server: scripts.Server, tmp_path: Path, expected: dict[str, Any]) -> None:
    ended = run(server, tmp_path, CUT_OFF.replace("os.kill(os.getpid(), signal.SIGKILL)", "fail()") + TRAINING)
    assert ended.exit_code == 1
    assert run_of(tmp_path).status.sealed
    assert "archiver resume ." in (run_of(tmp_path).path / "README.md").read_text()
    done = assert_goes_on(server, tmp_path, expected)
    assert "archiver resume ." not in (done.path / "README.md").read_text()


def test_a_full_disk_costs_the_snapshot_and_nothing_else(
    server: scripts.Server, tmp_path: Path, expected: dict[str, Any]
) -> None:
    full = """
import errno
from archiver.storage import files
ordinary = files.write_all
def refuse(descriptor, data):
    if threading.current_thread().name == "archiver-snapshot" and os.path.exists("full"):
        raise OSError(errno.ENOSPC, "No space left on device")
    ordinary(descriptor, data)
files.write_all = refuse
class Full(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            for thread in threading.enumerate():
                if thread.name == "archiver-snapshot":
                    thread.join()
            open("full", "w").close()
"""
    body = full + CUT_OFF.replace("MORE = [CutOff()]", "MORE = [Full(), CutOff()]") + TRAINING
    assert run(server, tmp_path, body).exit_code == -9
    done = run_of(tmp_path)
    assert newest_snapshot(done).state.epoch == 1
    assert not list(checkpoint_folder(done).glob(".tmp-*"))
    (tmp_path / "full").unlink()
    assert_goes_on(server, tmp_path, expected)


def test_memory_that_passes_its_limit_leaves_a_snapshot(
    server: scripts.Server, tmp_path: Path, expected: dict[str, Any]
) -> None:
    leak = CUT_OFF.replace("os.kill(os.getpid(), signal.SIGKILL)", "LEAK.append(np.ones(100 << 20)); time.sleep(0.5)")
    limit = "import psutil\nLEAK = []\nLIMIT = psutil.Process().memory_info().rss + (400 << 20)\n"
    ended = run(server, tmp_path, limit + leak + TRAINING)
    assert ended.exit_code == 0, ended.errors
    done = run_of(tmp_path)
    assert (done.status.status, done.status.stop_reason) == ("complete", "memory_limit")
    assert newest_snapshot(done).state.epoch == 2
    assert_goes_on(server, tmp_path, expected)


def test_a_run_may_be_asked_for_twice_in_one_process(server: scripts.Server, cut_off: Path) -> None:
    again = """
model = compiled(dense(layers.Dropout(0.3)))
second = model.fit(x, y, batch_size=8, epochs=4, validation_data=(x_val, y_val), verbose=0, callbacks=[archived()])
tell("same", second.history == history.history)
tell("same", archive.run.path == Run.open("runs/run_models").path.resolve())
"""
    ended = run(server, cut_off, TRAINING + "\nfrom archiver import Run\n" + again)
    assert ended.exit_code == 0, ended.errors
    assert ended.told("same") == [True, True]
    assert [path.name for path in (cut_off / "runs").iterdir()] == ["run_models"]


DATASET = """
class Counted(keras.utils.PyDataset):
    def __init__(self):
        super().__init__()
        self.large = np.full((2, 200_000), HELD, "float32")
        self.order, self.transform = np.arange(60), np.negative
        MAKE

    def __len__(self):
        return 7

    def __getitem__(self, index):
        tell("drawn", index)
        rows = self.order[index * 8 : index * 8 + 8]
        return x[rows], y[rows]

    def on_epoch_end(self):
        np.random.default_rng(int(self.order[0])).shuffle(self.order)

model = compiled(dense(layers.Dropout(0.3)))
history = model.fit(Counted(), epochs=4, verbose=0, callbacks=[*MORE, archived()])
told(model, [history])
"""


@pytest.fixture(scope="module")
def expected_of_dataset(server: scripts.Server, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    body = DATASET.replace("MAKE", "pass").replace("HELD", "1")
    return run(server, tmp_path_factory.mktemp("dataset"), body, every=None).told("result")


@pytest.mark.parametrize(
    ("make", "held", "epochs_drawn"),
    [
        ("pass", 1, 2),
        ("self.lock = threading.Lock()", 1, 4),
        ("pass", 2, 4),
    ],
    ids=["plain", "not plain", "other data"],
)
def test_epochs_that_were_done_are_drawn_again_only_where_they_must_be(
    make: str, held: int, epochs_drawn: int, server: scripts.Server, tmp_path: Path, expected_of_dataset: list[Any]
) -> None:
    body = DATASET.replace("MAKE", make)
    assert run(server, tmp_path, CUT_OFF + body.replace("HELD", "1")).exit_code == -9
    (tmp_path / "drawn").unlink()
    ended = run(server, tmp_path, body.replace("HELD", str(held)))
    assert ended.exit_code == 0, ended.errors
    assert ended.told("result") == expected_of_dataset
    looked_at_first = 2
    assert len(ended.told("drawn")) == looked_at_first + 7 * epochs_drawn


@pytest.mark.parametrize("every", [0, -1, 0.0, float("nan"), float("inf"), "step", True, []])
def test_bad_times_of_snapshots(every: Any, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="snapshot_every"):
        archiver.RunArchiver(tmp_path, name="a", snapshot_every=every)


@pytest.mark.parametrize("resume", [1, "yes", None])
def test_bad_resume(resume: Any, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match='True, False or "force"'):
        archiver.RunArchiver(tmp_path, name="a", resume=resume)


def test_the_command_line_runs_the_script_again(cut_off: Path, expected: dict[str, Any]) -> None:
    # A fork has the command of its server; a run whose record names the script is what a user has.
    done = run_of(cut_off)
    record = done.read(layout.RUN)
    command = record.command.model_copy(update={"start": "script", "target": "script.py", "arguments": ()})
    done.write(layout.RUN, record.model_copy(update={"command": command}))
    refused = scripts.command("resume", done.path)
    assert refused.returncode == 130
    assert "script.py" in refused.stdout
    ended = scripts.command("resume", "--yes", done.path)
    assert ended.returncode == 0, ended.stderr
    assert json.loads((cut_off / "result").read_text().splitlines()[-1]) == expected
    assert archiver.verify(done.path).is_whole
    assert "is complete" not in refused.stdout
    assert "is complete" in scripts.command("resume", done.path).stdout

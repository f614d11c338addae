"""Work beside the training: in turn, written as soon as it is known, and never into a sealed archive."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import archiver
from archiver import layout
from archiver.archive.run import Run
from archiver.training.background import Task, start


def test_tasks_run_in_turn_and_write_what_they_found():
    written = []
    threads = set()

    def find(value):
        threads.add(threading.get_ident())
        return value

    tasks = [Task(lambda value=value: find(value), written.append) for value in range(5)]
    start(*tasks)
    assert [task.result() for task in tasks] == list(range(5))
    assert written == list(range(5))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_one_that_fails_stops_no_other():
    def fail():
        raise ValueError("mine")

    tasks = [Task(fail), Task(lambda: 3)]
    start(*tasks)
    assert tasks[1].result() == 3
    with pytest.raises(ValueError, match="mine"):
        tasks[0].result()


def test_what_was_withheld_is_published_when_it_is_asked_for():
    may_go_on = threading.Event()
    written = []
    task = Task(lambda: may_go_on.wait(30), written.append)
    start(task)
    assert not task.is_done(0.01)
    task.withhold()
    may_go_on.set()
    assert task.is_done(30)
    assert written == []
    assert task.result() is True
    assert written == [True]
    assert task.result() is True
    assert written == [True]


def test_withholding_waits_for_a_writing_that_has_begun():
    began, written = threading.Event(), []

    def write(outcome):
        began.set()
        time.sleep(0.2)
        written.append(outcome)

    task = Task(lambda: 1, write)
    start(task)
    assert began.wait(10)
    task.withhold()
    assert written == [1]


KILLED = """
import os, time, keras, numpy as np, archiver
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", loss="mse")
class Wait(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        print("training", flush=True)
        time.sleep(600)
x = np.zeros((8, 4), "float32")
model.fit(x, x[:, :1], verbose=0, callbacks=[archiver.RunArchiver("runs", name="a"), Wait()])
"""


def test_a_killed_run_has_its_records_all_the_same(tmp_path):
    """Of a training that is in its first step, all that is found beside it is on the disk soon after."""
    (tmp_path / "train.py").write_text(KILLED)
    environment = os.environ | {"PYTHONPATH": str(Path(archiver.__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(
        [sys.executable, "train.py"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with process:
        assert process.stdout.readline() == b"training\n"
        run = Run.open(tmp_path / "runs" / "a_models")
        files = (layout.SOURCE, layout.GIT, layout.PACKAGES)
        deadline = time.monotonic() + 60
        while not (all(map(run.has, files)) and isinstance(run.read(layout.SYSTEM).cpu_details, dict)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert run.status.status == "interrupted"
    assert run.read(layout.SOURCE).entry == "environment/source/train.py"
    assert "numpy" in run.read(layout.PACKAGES).packages
    system = run.read(layout.SYSTEM)
    assert {library.name for library in system.numeric_libraries.loaded} >= {"openblas"}
    assert "ended before" not in system.model_dump_json()

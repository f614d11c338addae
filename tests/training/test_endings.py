"""However a training ends, its archive says so: processes that really die, and trainings that end early."""

from __future__ import annotations

import math
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest

import archiver
from archiver import layout
from archiver.archive.run import Run
from archiver.storage.journal import events_named
from tests.training import scripts
from tests.training.scripts import Ended, Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with scripts.serving() as server:
        yield server


def run_of(ended: Ended, name: str = "run") -> Run:
    run = Run.open(ended.folder / "runs" / f"{name}_models")
    contents = run.journal.read()
    assert (contents.faults, contents.torn_bytes) == ((), 0)
    assert [event.details for event in events_named(contents, "step_failed")] == []
    return run


def assert_sealed_with_epochs(run: Run, ended: Ended, count: int) -> None:
    """Whole and sealed; the history has `count` epochs, with Keras' own values."""
    assert run.status.sealed
    assert archiver.verify(run.path, algorithm="all", deep=True).findings == ()
    assert history_of(run) == ended.logs[:count]
    assert len(history_of(run)) == count


def history_of(run: Run, phase: int = 0) -> list[tuple[int, dict[str, float]]]:
    history = run.read(layout.HISTORY).phases[phase]
    columns = history.metrics.items()
    return [(epoch, {name: column[row] for name, column in columns}) for row, epoch in enumerate(history.epochs)]


def journal_epochs(run: Run) -> list[int]:
    return [event.details["epoch"] for event in events_named(run.journal.read(), "epoch_ended")]


# Exceptions that leave fit and end the script


@dataclass(frozen=True)
class Failure:
    name: str
    fit: str
    """The line that trains."""
    epochs: int = 1
    """Epochs that are over when it fails."""
    type: str = "LookupError"
    message: str = "planted"
    exit_code: int = 1


FAILURES = [
    Failure("batch_hook_before", "fit(At('on_train_batch_end', fail), archive)"),
    Failure("batch_hook_behind", "fit(archive, At('on_train_batch_begin', fail))"),
    Failure("epoch_end_before", "fit(At('on_epoch_end', fail), archive)"),
    Failure("epoch_end_behind", "fit(archive, At('on_epoch_end', fail))"),
    Failure("train_end_before", "fit(At('on_train_end', fail, epoch=3), archive)", epochs=4),
    Failure("train_end_behind", "fit(archive, At('on_train_end', fail, epoch=3))", epochs=4),
    Failure("test_hook", "fit(archive, At('on_test_batch_end', fail), validation_data=(x, y))"),
    Failure("train_begin_behind", "fit(archive, keras.callbacks.LambdaCallback(on_train_begin=lambda logs: fail()))", epochs=0),
    Failure("validation_data", "fit(archive, validation_data=Batches(fail_at=6))", message="a bad batch"),
    Failure("validation_data_of_no_kind", "fit(archive, validation_data=(object(), y))", epochs=0, type="ValueError",
            message="Unrecognized data type"),
    Failure("pydataset", "fit(archive, data=Batches(fail_at=7))", message="a bad batch"),
    Failure("generator", "fit(archive, data=generator(fail_at=7), steps_per_epoch=4)", message="a bad batch"),
    Failure("exit_in_batch_hook", "fit(archive, At('on_train_batch_end', lambda: sys.exit(3)))", type="SystemExit",
            message="3", exit_code=3),
    Failure("exit_in_epoch_end", "fit(At('on_epoch_end', lambda: sys.exit(3)), archive)", type="SystemExit",
            message="3", exit_code=3),
]  # fmt: skip


@pytest.mark.parametrize("failure", [pytest.param(each, id=each.name) for each in FAILURES])
def test_an_exception_ends_the_script(failure: Failure, server: Server, tmp_path: Path) -> None:
    ended = server.run(tmp_path, failure.fit)
    print(ended.errors, (tmp_path/"runs/run_models/journal.jsonl").read_text())
    assert ended.exit_code == failure.exit_code
    run = run_of(ended)
    status = run.status
    assert status.status == "failed"
    assert status.exception is not None
    print(status.exception)
    assert failure.message in status.exception.message
    assert (status.exception.type, str(status.exception.location).split(":")[0]) == (failure.type, "script.py")
    assert_sealed_with_epochs(run, ended, failure.epochs)

"""A training that is killed anywhere, and run again, ends as the one that was not killed: bit for bit."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

import archiver
from archiver import layout
from archiver.archive.run import Run
from archiver.storage.journal import events_named
from tests.property.campaigns import campaign
from tests.training import scripts
from tests.training.resume_scripts import COMMON, SCENARIOS

STEP_SECONDS = 0.03
MAXIMAL_KILLS = 6
ORDINARY = ("arrays", "callbacks", "pydataset", "tf_data_repeated", "two_phases")
"""Scenarios of every run of the tests; `make stress` has them all."""


@pytest.fixture(scope="module")
def references(server: scripts.Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """By scenario, once it was asked for: what it comes to when nobody kills it, and how long that takes."""
    return {}


def reference(server: scripts.Server, known: dict[str, Any], folder: Path, name: str) -> tuple[dict[str, Any], float]:
    if name not in known:
        server.run(folder / "nothing", "")  # the server is there when time is taken
        began = time.monotonic()
        ended = run(server, folder / "reference", name, every=None)
        known[name] = ended.told("result")[-1], time.monotonic() - began
    result, seconds = known[name]
    return result, seconds


def run(
    server: scripts.Server,
    folder: Path,
    name: str,
    *,
    every: object = "epoch",
    kill_after_seconds: float | None = None,
    kill_at_change: int | None = None,
    step_seconds: float = STEP_SECONDS,
    body: str | None = None,
) -> scripts.Ended:
    folder.mkdir(parents=True, exist_ok=True)
    options = {"every": every, "step_seconds": step_seconds}
    options |= {"kill_after_seconds": kill_after_seconds, "kill_at_change": kill_at_change}
    (folder / "options.json").write_text(json.dumps(options))
    ended = server.run(folder, COMMON + (body or SCENARIOS[name]))
    is_to_be_killed = kill_after_seconds is not None or kill_at_change is not None
    if ended.exit_code == 1 and "h5py" in ended.errors and (folder / "backup").exists():
        shutil.rmtree(folder / "backup")  # killed while Keras' BackupAndRestore wrote, which then cannot read it
        ended = server.run(folder, COMMON + (body or SCENARIOS[name]))
    assert ended.exit_code in ((0, -9) if is_to_be_killed else (0,)), ended.errors
    return ended


def log_kills(what: str, kills: int) -> None:
    """A line for `tests.resume_kills`, once a training was killed so often and came to the same end."""
    log = os.environ.get("ARCHIVER_KILL_LOG")
    if log:
        with open(log, "a", encoding="utf-8") as lines:
            lines.write(json.dumps({"what": what, "kills": kills}) + "\n")


def run_of(folder: Path) -> Run:
    return Run.open(folder / "runs" / "run_models")


def assert_continued(folder: Path, expected: dict[str, Any], result: dict[str, Any]) -> None:
    for key, value in expected.items():
        assert result[key] == value, key
    run = run_of(folder)
    report = archiver.verify(run.path, deep=True)
    report.raise_for_findings()
    assert run.status.status == "complete"
    assert not list(run.path.rglob("snapshot-*/"))
    history = run.read(layout.HISTORY)
    for phase, (epochs, metrics) in zip(history.phases, result["histories"], strict=True):
        assert list(phase.epochs) == epochs
        assert {key: list(values) for key, values in phase.metrics.items()} == metrics


@pytest.mark.stress
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", SCENARIOS if campaign(0, 1) else ORDINARY)
def test_killed_until_it_is_through(
    name: str, server: scripts.Server, references: dict[str, Any], tmp_path: Path
) -> None:
    """Kills at random times: in steps, between epochs, while a snapshot is written, while the archive is sealed."""
    expected, seconds = reference(server, references, tmp_path, name)
    for number in range(campaign(1, 3)):
        chance = random.Random(f"{name} {number}")
        folder, kills = tmp_path / str(number), 0
        every = chance.choice(["epoch", 2, 3])
        limit = campaign(1, MAXIMAL_KILLS)
        while True:
            after = chance.uniform(0.3, 1.0) * seconds if kills < limit else None
            ended = run(server, folder, name, every=every, kill_after_seconds=after)
            if ended.exit_code == 0:
                break
            kills += 1
        assert_continued(folder, expected, ended.told("result")[-1])
        log_kills(f"{name}, at random moments", kills)
        shutil.rmtree(folder)


@pytest.mark.stress
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["arrays", "two_phases"][: campaign(1, 2)])
def test_killed_before_any_change_of_the_archive(
    name: str, server: scripts.Server, references: dict[str, Any], tmp_path: Path
) -> None:
    """While a snapshot is written and renamed, while the archive is sealed; the next process is killed so as well."""
    expected, _ = reference(server, references, tmp_path, name)
    ended = run(server, tmp_path / "whole", name, every=2, step_seconds=0.0)
    changes = ended.told("changes")[-1]
    snapshots = [number for number, path in enumerate(changes, start=1) if "/snapshot-" in path]
    after = range(snapshots[-1], len(changes) + 1)
    chance = random.Random(name)
    count = campaign(1, 15)
    for number in (*chance.choices(snapshots, k=count), *chance.choices(after, k=count)):
        folder = tmp_path / str(number)
        kills = 0  # there are not as many changes each time
        for at in (number, chance.randint(1, len(changes) // 2), None):
            ended = run(server, folder, name, every=2, step_seconds=0.0, kill_at_change=at)
            kills += ended.exit_code != 0
        assert_continued(folder, expected, ended.told("result")[-1])
        log_kills(f"{name}, {'in a snapshot' if number in snapshots else 'at the end'}", kills)
        shutil.rmtree(folder)


def test_a_phase_that_was_cut_off_with_no_epoch_left(
    server: scripts.Server, references: dict[str, Any], tmp_path: Path
) -> None:
    expected, _ = reference(server, references, tmp_path, "two_phases")
    kill = """
class Kill(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        if not os.path.exists("killed"):
            open("killed", "w").close()
            for thread in threading.enumerate():
                if thread.name == "archiver-snapshot":
                    thread.join()
            os.kill(os.getpid(), signal.SIGKILL)

"""
    body = kill + SCENARIOS["two_phases"].replace("Slow(),", "Slow(), Kill(),")
    folder = tmp_path / "a"
    assert run(server, folder, "two_phases", body=body, kill_after_seconds=600).exit_code == -9
    assert_continued(folder, expected, run(server, folder, "two_phases", body=body).told("result")[-1])


KILLS = {
    "in the first epoch": ("on_train_batch_end", 0),
    "in the validation": ("on_test_batch_end", 2),
    "at the end": ("on_train_end", None),
}


@pytest.mark.parametrize("where", KILLS)
def test_what_the_archive_says_of_it(
    where: str, server: scripts.Server, references: dict[str, Any], tmp_path: Path
) -> None:
    hook, epoch = KILLS[where]
    expected, _ = reference(server, references, tmp_path, "arrays")
    kill = f"""
class Kill(keras.callbacks.Callback):
    epoch = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def {hook}(self, *args, **kwargs):
        if {epoch!r} in (None, self.epoch) and not os.path.exists("killed"):
            open("killed", "w").close()
            for thread in threading.enumerate():
                if thread.name == "archiver-snapshot":
                    thread.join()
            os.kill(os.getpid(), signal.SIGKILL)

"""
    body = kill + SCENARIOS["arrays"].replace("Slow(),", "Slow(), Kill(),")
    folder = tmp_path / "a"
    ended = run(server, folder, "arrays", body=body, kill_after_seconds=600)
    assert ended.exit_code == -9
    assert run_of(folder).status.status == "interrupted"
    ended = run(server, folder, "arrays", body=body)
    assert_continued(folder, expected, ended.told("result")[-1])
    contents = run_of(folder).journal.read()
    (resumed,) = events_named(contents, "resumed")
    assert resumed.part == 1
    assert resumed.details["exact"] is True
    last = len(expected["histories"][0][0])
    assert resumed.details["epoch"] == {"in the first epoch": 0, "at the end": last}.get(where, 2)
    assert {event.part for event in contents.events} == {0, 1}

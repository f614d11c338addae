"""What is measured beside a training, and what ends or pauses it: real trainings, real memory, sensors of our own."""

from __future__ import annotations

import copy
import csv
import gc
import json
import os
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import pytest

import archiver
from archiver import layout
from archiver.archive.run import Run
from archiver.errors import ArchiverWarning, ArgumentError
from archiver.records.base import Unavailable
from archiver.records.telemetry import PhaseTelemetry, SamplingPart
from archiver.sampling.temperature import TemperatureSampler
from archiver.sampling.thermometer import Thermometer
from archiver.storage.journal import events_named
from archiver.training import safeguards
from tests.archive.resealing import edit_and_seal
from tests.sampling.test_temperature import FakeSys
from tests.training import scripts, small

MIB = 1 << 20


def train(archive: archiver.RunArchiver, *callbacks: keras.callbacks.Callback, epochs: int = 2) -> Run:
    x, y = small.arrays()
    small.model().fit(x, y, epochs=epochs, batch_size=8, verbose=0, callbacks=[*callbacks, archive])
    return archive.run


def rows(run: Run, file: layout.ArchiveFile) -> list[dict[str, str]]:
    with open(run.path_of(file), newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def sampled(phase: PhaseTelemetry) -> SamplingPart:
    assert isinstance(phase.sampling, SamplingPart)
    return phase.sampling


def events(run: Run, name: Any) -> list[dict[str, Any]]:
    return [event.details for event in events_named(run.journal.read(), name)]


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name in ("archiver-sampling", "archiver-guard")}


def test_two_phases_share_traces_record_and_clock(tmp_path: Path) -> None:
    archive = archiver.RunArchiver(tmp_path, name="a", sampling_hertz=50)
    model, (x, y) = small.model(), small.arrays()
    seen: list[set[str]] = []
    look = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(threads()))
    descriptors = []
    for _ in range(3):
        model.fit(x, y, epochs=2, batch_size=8, verbose=0, callbacks=[archive, look])
        assert threads() == set()
        gc.collect()
        descriptors.append(len(os.listdir("/proc/self/fd")))
    assert seen == [{"archiver-sampling", "archiver-guard"}] * 6
    # the first ones bring what a process has once: the kernel's high-water mark, the journal's flush
    assert descriptors[2] <= descriptors[1]

    run = archive.run
    assert archiver.verify(run.path, deep=True).is_whole
    record = run.read(layout.TELEMETRY)
    assert [phase.phase for phase in record.phases] == [0, 1, 2]
    assert record.peak_rss_bytes == max(sampled(phase).peak_rss_bytes for phase in record.phases)
    assert [[use.phase for use in sampled(phase).phases] for phase in record.phases] == [
        ["preparing", "training", "saving"]
    ] * 3
    memory = rows(run, layout.MEMORY_TRACE)
    assert len(memory) == sum(sampled(phase).sample_count for phase in record.phases)
    assert sampled(record.phases[2]).traces[0].row_count == len(memory)
    times = [float(row["elapsed_seconds"]) for row in memory]
    assert all(before <= after for before, after in pairwise(times))
    steps = rows(run, layout.STEPS)
    for number, phase in enumerate(record.phases):
        within = [float(row["elapsed_seconds"]) for row in steps if row["phase"] == str(number)]
        begin = phase.begin_elapsed_seconds
        preparing = sampled(phase).phases[0].duration_seconds
        assert begin + preparing <= within[0] <= within[-1] <= begin + sampled(phase).duration_seconds


def test_without_sampling_there_is_a_record_that_says_so(tmp_path: Path) -> None:
    run = train(archiver.RunArchiver(tmp_path, name="a", sampling_hertz=0, memory_limit=None))
    record = run.read(layout.TELEMETRY)
    assert isinstance(record.peak_rss_bytes, Unavailable)
    for part in (record.phases[0].sampling, record.phases[0].cooling, record.phases[0].guard):
        assert isinstance(part, Unavailable)
    assert not run.has(layout.MEMORY_TRACE)
    assert archiver.verify(run.path, deep=True).is_whole


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("sampling_hertz", 51), ("sampling_hertz", -1), ("sampling_hertz", True), ("sampling_hertz", "1"),
        ("memory_limit", 0.0), ("memory_limit", 1.0), ("memory_limit", 1 << 60), ("memory_limit", "2 GB"),
        ("on_alert", 3), ("cooling", 90.0),
    ],
)  # fmt: skip
def test_arguments_that_cannot_be_used(argument: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=rf"Received {argument}=.*Expected"):
        archiver.RunArchiver(tmp_path, name="a", **{argument: value})


def test_the_callback_can_be_copied_before_it_is_used(tmp_path: Path) -> None:
    run = train(copy.deepcopy(archiver.RunArchiver(tmp_path, name="a", cooling=archiver.CoolingPolicy(None, 90))))
    assert run.status.sealed


def test_a_training_that_raises_is_measured_to_there(tmp_path: Path) -> None:
    def fail(batch: int, logs: Any) -> None:
        raise LookupError("planted")

    archive = archiver.RunArchiver(tmp_path, name="a", sampling_hertz=50)
    with pytest.raises(LookupError):
        train(archive, keras.callbacks.LambdaCallback(on_train_batch_end=fail))
    assert threads() == set()
    run = archive.finalize()
    assert [use.phase for use in sampled(run.read(layout.TELEMETRY).phases[0]).phases] == ["preparing", "training"]
    assert archiver.verify(run.path).is_whole


def test_a_killed_training_leaves_its_traces(server: scripts.Server, tmp_path: Path) -> None:
    body = """
archive = archiver.RunArchiver("runs", name="run", sampling_hertz=50)
class Die(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        time.sleep(0.1)
        if epoch == 1:
            os.kill(os.getpid(), signal.SIGKILL)
fit(Die(), archive)
"""
    ended = server.run(tmp_path, body)
    assert ended.exit_code == -9
    assert scripts.command("finalize", tmp_path / "runs" / "run_models").returncode == 0
    run = Run.open(tmp_path / "runs" / "run_models")
    assert len(rows(run, layout.MEMORY_TRACE)) >= 4
    assert not run.has(layout.TELEMETRY)
    assert archiver.verify(run.path, deep=True).findings == ()


def test_a_forked_child_measures_nothing(tmp_path: Path) -> None:
    def fork(epoch: int, logs: Any) -> None:
        if epoch == 0:
            child = os.fork()
            if child == 0:
                time.sleep(0.2)  # ten periods
                os._exit(len(threads()))
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    run = train(
        archiver.RunArchiver(tmp_path, name="a", sampling_hertz=50), keras.callbacks.LambdaCallback(on_epoch_end=fork)
    )
    memory = rows(run, layout.MEMORY_TRACE)
    assert len(memory) == sampled(run.read(layout.TELEMETRY).phases[0]).sample_count
    times = [float(row["elapsed_seconds"]) for row in memory]
    assert times == sorted(times)
    assert archiver.verify(run.path, deep=True).is_whole


@pytest.mark.parametrize(
    "edit",
    [
        lambda trace: trace["columns"].pop(),
        lambda trace: trace["columns"][0].update(name="other_bytes"),
        lambda trace: trace.update(file="gone.csv"),
    ],
    ids=["fewer", "other", "gone"],
)
def test_verify_compares_traces_with_the_record(edit: Any, tmp_path: Path) -> None:
    from archiver.testing import tiny_run

    run = tiny_run(tmp_path)
    path = layout.TELEMETRY.path(run.name)
    edit_and_seal(run, path, lambda record: edit(record["phases"][0]["sampling"]["traces"][1]))
    findings = archiver.verify(run.path).findings
    assert [(finding.code, finding.path.rpartition("/")[0]) for finding in findings] == [
        ("disagreement", f"{path}#/phases/0/sampling/traces")
    ]


# The limit on memory

LEAKING = """
import warnings
from archiver.sampling.memory_sources import ProcessMemory

told, base = [], ProcessMemory().anonymous_bytes()
archive = archiver.RunArchiver(
    "runs", name="run", memory_limit=base + 300 * 2**20, on_alert=lambda event: told.append(event.level)
)


class Leak(keras.callbacks.Callback):
    kept = []

    def on_train_batch_end(self, batch, logs=None):
        self.kept.append(np.ones(2**20, "float64"))  # 8 MiB
        time.sleep(0.005)


with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    fit(Leak(), archive, epochs=1000)
tell("told", [told, len(Leak.kept), [str(each.message) for each in caught]])
"""


def test_a_training_that_leaks_is_stopped_and_archived(server: scripts.Server, tmp_path: Path) -> None:
    ended = server.run(tmp_path, LEAKING)
    assert ended.exit_code == 0, ended.errors
    ((told, kept, warned),) = ended.told("told")
    assert told == ["soft", "hard"]
    assert 20 <= kept < 100
    soft, hard = warned
    assert "soft limit" in soft
    assert "garbage" in soft
    assert "hard limit" in hard
    assert "training ends" in hard
    run = Run.open(tmp_path / "runs" / "run_models")
    assert (run.status.status, run.status.stop_reason, run.status.sealed) == ("complete", "memory_limit", True)
    assert archiver.verify(run.path, deep=True).findings == ()
    assert run.has(layout.KERAS_MODEL)
    guard = run.read(layout.TELEMETRY).phases[0].guard
    assert not isinstance(guard, Unavailable)
    assert [event.level for event in guard.events] == ["soft", "hard"]
    assert guard.events[1].used_bytes - guard.limits.hard_limit_bytes < 200 * MIB
    assert [event["level"] for event in events(run, "memory_alert")] == ["soft", "hard"]
    assert isinstance(events(run, "memory_alert")[0]["freed_bytes"], int)


# Cooling breaks


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the temperature of the processor."""
    fake = FakeSys(tmp_path / "sys")
    cpu = fake.sensor("hwmon0", "coretemp", 1, 50)
    monkeypatch.setattr(safeguards, "Thermometer", lambda: Thermometer(TemperatureSampler(tmp_path / "sys")))
    return lambda celsius: fake.set(cpu, celsius)


def test_training_pauses_until_the_processor_has_cooled_down(machine: Any, tmp_path: Path) -> None:
    heated = []

    def heat(batch: int, logs: Any) -> None:
        if batch == 2 and not heated:
            heated.append(1)
            machine(95)
            threading.Timer(0.3, machine, [60]).start()

    policy = archiver.CoolingPolicy(80, None, 70, check_seconds=0.001, minimal_work_seconds=0, maximal_pause_seconds=30)
    archive = archiver.RunArchiver(tmp_path, name="a", cooling=policy)
    assert not archive.async_safe
    plain = train(archiver.RunArchiver(tmp_path, name="b"))
    run = train(archive, keras.callbacks.LambdaCallback(on_train_batch_end=heat))
    summary = run.read(layout.TELEMETRY).phases[0].cooling
    assert not isinstance(summary, Unavailable)
    (pause,) = summary.breaks
    assert (pause.cause, pause.ended_by, pause.cpu_before_celsius, pause.cpu_after_celsius) == ("cpu", "cool", 95, 60)
    assert 0.2 < pause.duration_seconds < 10
    assert (summary.break_count, summary.total_seconds) == (1, pause.duration_seconds)
    assert 0 < summary.share_of_time < 1
    assert summary.drop_celsius_per_minute == pytest.approx(35 / pause.duration_seconds * 60)
    assert (summary.targets[0].limit_celsius, summary.targets[0].is_kept) == (80, False)
    assert summary.settings.maximal_pause_seconds == 30
    (event,) = events(run, "cooling_break")
    expected = {"phase": 0, **json.loads(pause.model_dump_json())}
    assert event == expected
    assert archiver.verify(run.path, deep=True).is_whole
    assert events(plain, "cooling_break") == []


def test_a_machine_without_sensors_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sys").mkdir()
    monkeypatch.setattr(safeguards, "Thermometer", lambda: Thermometer(TemperatureSampler(tmp_path / "sys")))
    with pytest.warns(ArchiverWarning, match="no sensor tells the temperature of cpu"):
        run = train(archiver.RunArchiver(tmp_path, name="a", cooling=archiver.CoolingPolicy()))
    summary = run.read(layout.TELEMETRY).phases[0].cooling
    assert not isinstance(summary, Unavailable)
    assert (summary.break_count, summary.targets[0].is_kept) == (0, None)

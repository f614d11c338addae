"""Everything together: traces and summaries of this very process, and processes that are killed."""

from __future__ import annotations

import csv
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from archiver.errors import ArgumentError
from archiver.records.telemetry import SamplingPart
from archiver.sampling.backend import AllocatorReading
from archiver.sampling.columns import Column
from archiver.sampling.recorder import TelemetryRecorder

MIB = 1 << 20


class Counter:
    """A sampler with one column whose values are known; the number of samples decides them."""

    def __init__(self, fails_at=None):
        self.columns = (Column("count", "memory", "how often it was asked", is_key=True),)
        self.unavailable = {}
        self.count = 0
        self.fails_at = fails_at

    def sample(self):
        self.count += 1
        if self.count == self.fails_at:
            raise OSError("gone")
        return self.count

    def cells(self, reading):
        return (reading,)

    def close(self):
        """Nothing."""


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def wait_for(recorder, samples):
    deadline = time.monotonic() + 20
    while recorder._sample_count < samples:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_phases_of_a_run(tmp_path):
    recorder = TelemetryRecorder(tmp_path / "traces", rate_hertz=50, part=2)
    recorder.start("load")
    wait_for(recorder, 3)
    recorder.begin_phase("train")
    before = recorder.latest["rss_bytes"]
    block = np.ones(100 * MIB, np.uint8)
    del block
    wait_for(recorder, recorder._sample_count + 3)
    recorder.begin_phase("load")
    wait_for(recorder, recorder._sample_count + 3)
    recorder.stop()
    summary = recorder.summary()
    assert SamplingPart.model_validate_json(summary.model_dump_json()) == summary
    load, train = summary.phases
    assert (load.phase, train.phase) == ("load", "train")
    assert train.peak_rss_bytes - before == pytest.approx(100 * MIB, abs=3 * MIB)
    assert load.peak_rss_bytes < train.peak_rss_bytes - 50 * MIB
    assert summary.peak_rss_bytes >= train.peak_rss_bytes
    assert load.duration_seconds + train.duration_seconds == pytest.approx(summary.duration_seconds, abs=0.05)
    memory = rows(tmp_path / "traces" / "memory.csv")
    assert len(memory) == summary.sample_count == summary.traces[0].row_count
    assert list(memory[0])[:3] == ["elapsed_seconds", "part", "rss_bytes"]
    assert {row["part"] for row in memory} == {"2"}
    rss = [int(row["rss_bytes"]) for row in memory]
    by_phase = {use.phase: {each.column: each for each in use.columns} for use in summary.phases}
    assert min(by_phase[name]["rss_bytes"].minimum for name in by_phase) == min(rss)
    assert sum(by_phase[name]["rss_bytes"].count for name in by_phase) == len(rss)
    assert max(int(row["peak_rss_bytes"]) for row in memory) == train.peak_rss_bytes
    times = [float(row["elapsed_seconds"]) for row in memory]
    assert times == sorted(times)
    for trace in summary.traces:
        header = (tmp_path / "traces" / trace.file).read_text().splitlines()[0]
        assert header.split(",")[2:] == [column.name for column in trace.columns]
        assert all(column.description for column in trace.columns)


def test_every_column_of_a_trace_says_its_unit(tmp_path):
    recorder = TelemetryRecorder(tmp_path)
    units = ("_bytes", "_percent", "_count", "_per_second", "_celsius", "_watts", "_hertz", "_bits", "_minute")
    assert all(column.name.endswith(units) for column in recorder._columns)
    names = [column.name for column in recorder._columns]
    assert len(set(names)) == len(names)
    recorder.close()


def test_known_values_are_summed_up(tmp_path):
    recorder = TelemetryRecorder(tmp_path, rate_hertz=0.01, samplers=[Counter()])
    recorder.start()
    wait_for(recorder, 1)
    for _ in range(99):
        recorder.sample()
    recorder.stop()
    ((column,),) = (use.columns for use in recorder.summary().phases)
    count = recorder.summary().sample_count
    assert (column.count, column.minimum, column.maximum, column.mean) == (count, 1, count, (count + 1) / 2)
    assert column.percentile_50 == pytest.approx(count / 2, rel=0.02)
    assert column.percentile_95 == pytest.approx(0.95 * count, rel=0.02)


def test_a_sampler_that_fails_leaves_a_gap_and_the_others_go_on(tmp_path):
    first, second = Counter(fails_at=2), Counter()
    second.columns = (Column("other_count", "memory", "another"),)
    recorder = TelemetryRecorder(tmp_path, rate_hertz=50, samplers=[first, second])
    recorder.start()
    wait_for(recorder, 4)
    recorder.stop()
    found = rows(tmp_path / "memory.csv")
    assert [row["count"] for row in found[:3]] == ["1", "", "3"]
    assert [row["other_count"] for row in found[:3]] == ["1", "2", "3"]
    (reading,) = recorder.summary().unavailable_readings
    assert reading.reading == "Counter"
    assert "OSError: gone" in reading.reason


def test_the_backends_allocator(tmp_path):
    peak = iter(range(10, 1000))
    recorder = TelemetryRecorder(
        tmp_path, rate_hertz=50, backend_memory=lambda: {"GPU:0": AllocatorReading(5, next(peak))}
    )
    recorder.start()
    wait_for(recorder, 2)
    recorder.stop()
    first = rows(tmp_path / "memory.csv")[0]
    assert (first["backend_gpu_0_bytes"], first["backend_gpu_0_peak_bytes"]) == ("5", "11")

    def refuse():
        raise RuntimeError("no GPU in this backend")

    recorder = TelemetryRecorder(tmp_path / "other", backend_memory=refuse)
    assert recorder.unavailable["backend_..."] == "RuntimeError: no GPU in this backend"
    recorder.close()


def test_what_is_not_there_is_said_once(tmp_path):
    recorder = TelemetryRecorder(tmp_path, rate_hertz=50)
    recorder.start()
    wait_for(recorder, 5)
    recorder.stop()
    readings = [each.reading for each in recorder.summary().unavailable_readings]
    assert len(set(readings)) == len(readings)


def test_a_resumed_run(tmp_path):
    for part in range(3):
        recorder = TelemetryRecorder(tmp_path, rate_hertz=50, part=part)
        recorder.start()
        wait_for(recorder, 2)
        recorder.stop()
    parts = [row["part"] for row in rows(tmp_path / "utilisation.csv")]
    assert parts == sorted(parts)
    assert set(parts) == {"0", "1", "2"}


@pytest.mark.parametrize("arguments", [{"rate_hertz": 0}, {"rate_hertz": 1000}, {"part": -1}, {"gpu_indices": [99]}])
def test_bad_input(tmp_path, arguments):
    with pytest.raises(ArgumentError, match="Received"):
        TelemetryRecorder(tmp_path / "traces", **arguments)
    assert not (tmp_path / "traces").exists()


@pytest.mark.parametrize(("count", "samplers"), [(1000, lambda: [Counter()]), (100, lambda: None)])
def test_a_thousand_starts_and_stops_leak_nothing(tmp_path, count, samplers):
    def used():
        gc.collect()
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    def once():
        recorder = TelemetryRecorder(tmp_path, rate_hertz=50, maximal_rows=500, samplers=samplers())
        recorder.start()
        recorder.stop()

    once()
    before = used()
    for _ in range(count):
        once()
    assert used() == before
    assert len(rows(tmp_path / "memory.csv")) <= 500


def test_one_that_is_dropped_without_stop_ends_by_itself(tmp_path):
    before = threading.active_count()
    recorder = TelemetryRecorder(tmp_path, rate_hertz=50)
    recorder.start()
    wait_for(recorder, 2)
    del recorder
    gc.collect()
    deadline = time.monotonic() + 20
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_fork_while_it_samples(tmp_path):
    """As data-loading workers do: the child is silent and ends at once, even when the lock was held at the fork."""
    recorder = TelemetryRecorder(tmp_path, rate_hertz=50)
    recorder.start()
    wait_for(recorder, 2)
    children = []
    for _ in range(20):
        child = os.fork()
        if child == 0:
            recorder.begin_phase("child")
            recorder.stop()
            os._exit(0 if not recorder.is_running else 1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 20
    wait_for(recorder, recorder._sample_count + 3)
    recorder.stop()
    times = [float(row["elapsed_seconds"]) for row in rows(tmp_path / "memory.csv")]
    assert len(times) == recorder.summary().sample_count == len(set(times))
    assert [use.phase for use in recorder.summary().phases] == ["run"]


KILLED = """
import sys, time
from archiver.sampling.recorder import TelemetryRecorder
recorder = TelemetryRecorder(sys.argv[1], rate_hertz=50, part=int(sys.argv[2]), maximal_rows=200)
recorder.start()
origin = time.monotonic()
print("ready", flush=True)
while True:
    time.sleep(0.005)
    print(time.monotonic() - origin, flush=True)
"""


def test_kill_9_at_random_moments(tmp_path):
    """Every line is whole; no more than a sampling period is lost, and what a busy machine delays."""
    rng = random.Random(int(os.environ.get("ARCHIVER_SEED", "3")))
    for part in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, tmp_path, str(part)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.05, 0.6))
        process.send_signal(signal.SIGKILL)
        lived = [float(line) for line in process.stdout.read().splitlines() if line.count(".") == 1]
        process.wait()
        process.stdout.close()
        for name in ("memory.csv", "utilisation.csv"):
            text = (tmp_path / name).read_text()
            whole = text[: text.rfind("\n") + 1].splitlines()
            header = whole[0].split(",")
            cells = [line.split(",") for line in whole[1:]]
            assert all(len(line) == len(header) for line in cells)
            assert all(float(cell) is not None for line in cells for cell in line if cell)
            last = max(float(line[0]) for line in cells if line[1] == str(part))
            assert last > lived[-1] - 0.02 - 0.5, (last, lived[-1])

"""`archiver.MemoryMonitor` in a program that knows nothing of training."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

import archiver
from archiver.errors import ArgumentError
from archiver.sampling import cleaning
from archiver.sampling import monitor as module
from archiver.sampling.memory_sources import machine_memory_bytes
from archiver.sampling.monitor import PRESETS

MIB = 1 << 20


@pytest.fixture(autouse=True)
def nothing_stays_frozen():
    yield
    cleaning._frozen.clear()
    gc.unfreeze()


def now_mb():
    return psutil.Process().memory_info().rss / MIB


def monitor(**arguments):
    return archiver.MemoryMonitor(**{"cpu_threshold_mb": machine_memory_bytes() / MIB, **arguments})


def test_below_the_threshold_nothing_is_done(caplog):
    watch = monitor()
    reading = watch.check_and_cleanup("quiet")
    assert reading.cpu_mb == pytest.approx(now_mb(), abs=2)
    assert not reading.is_over_threshold
    assert reading.cleanup is None
    assert reading.system_total_bytes == psutil.virtual_memory().total
    summary = watch.get_memory_summary()
    assert (summary["warning_count"], summary["cleanup_count"], summary["reading_count"]) == (0, 0, 1)
    assert caplog.records == []
    assert watch.history == [reading]


class Knot:
    """An object in a cycle, with much memory: only the garbage collector can free it."""

    def __init__(self):
        self.block = np.ones(100 * MIB, np.uint8)
        self.me = self


def test_above_it_warns_with_the_context_and_says_what_was_really_freed(caplog):
    monitor().cleanup("what other tests have left")
    caplog.clear()
    gc.disable()  # so that the cycle waits for the monitor
    try:
        before = now_mb()
        Knot()
        watch = monitor(cpu_threshold_mb=before + 50)
        reading = watch.check_and_cleanup("epoch 3")
    finally:
        gc.enable()
    assert reading.is_over_threshold
    assert reading.cpu_mb == pytest.approx(before + 100, abs=5), "the reading is from before the cleanup"
    assert reading.cleanup.cpu_freed_bytes / MIB == pytest.approx(100, abs=20)
    assert reading.cleanup.gpu_freed_bytes is None
    assert now_mb() < before + 5
    warning, report = (record.getMessage() for record in caplog.records)
    assert warning.startswith(f"epoch 3: the process has {reading.cpu_mb:.0f} MB, threshold {before + 50:.0f} MB")
    assert "freed" in report
    assert f"{reading.cpu_mb:.0f} to" in report
    summary = watch.get_memory_summary()
    assert (summary["warning_count"], summary["cleanup_count"]) == (1, 1)
    assert summary["cpu_freed_mb"] == pytest.approx(100, abs=20)
    assert watch.history == [reading]


def test_only_warning(caplog):
    watch = monitor(cpu_threshold_mb=1, auto_cleanup=False)
    for _ in range(3):
        assert watch.check_and_cleanup("here").cleanup is None
    assert len(caplog.records) == watch.warning_count == 3
    assert watch.cleanup_count == 0


def test_a_pause_between_cleanups():
    watch = monitor(cpu_threshold_mb=1, cleanup_pause_seconds=60)
    assert [watch.check_and_cleanup().cleanup is not None for _ in range(3)] == [True, False, False]
    assert (watch.warning_count, watch.cleanup_count) == (3, 1)


def test_memory_of_a_gpu():
    used = iter([100 * MIB, 900 * MIB, 900 * MIB, 300 * MIB, 200 * MIB])
    watch = monitor(gpu_threshold_mb=500, gpu_memory=lambda: next(used))
    assert not watch.check_and_cleanup().is_over_threshold
    reading = watch.check_and_cleanup("batch 7")
    assert (reading.gpu_mb, reading.cleanup.gpu_freed_bytes) == (900, 600 * MIB)
    assert watch.read().gpu_mb == 200
    summary = watch.get_memory_summary()
    assert (summary["gpu_max_mb"], summary["gpu_avg_mb"]) == (900, 400)


def test_a_gpu_that_cannot_be_asked():
    def refuse():
        raise RuntimeError("CUDA is busy")

    watch = monitor(gpu_memory=refuse)
    assert watch.read().gpu_bytes is None
    assert watch.gpu_unavailable == "RuntimeError: CUDA is busy"
    assert watch.get_memory_summary()["gpu_max_mb"] is None


def test_summary_against_the_readings():
    watch = monitor()
    blocks = []
    for _ in range(4):
        blocks.append(np.ones(20 * MIB, np.uint8))
        watch.read()
    np.ones(150 * MIB, np.uint8)
    blocks.clear()
    watch.read()
    sizes = [reading.cpu_mb for reading in watch.history]
    summary = watch.get_memory_summary()
    assert summary["cpu_max_mb"] == max(sizes)
    assert summary["cpu_avg_mb"] == pytest.approx(np.mean(sizes))
    assert summary["cpu_peak_mb"] > max(sizes) + 100, "the peak between two readings"


def test_the_history_is_bounded_and_keeps_the_largest(monkeypatch):
    monkeypatch.setattr(module, "MAXIMAL_READINGS", 100)
    watch = monitor()
    for number in range(1000):
        if number == 500:
            block = np.ones(100 * MIB, np.uint8)
            watch.read("largest")
            del block
        watch.read()
    assert len(watch.history) <= 100
    assert watch.get_memory_summary()["reading_count"] == 1001
    assert max(watch.history, key=lambda reading: reading.process_bytes).context == "largest"


def test_log_memory_stats(caplog):
    caplog.set_level(logging.INFO, logger="archiver.memory")
    reading = monitor().log_memory_stats("after loading")
    (record,) = caplog.records
    text = record.getMessage()
    assert text.startswith(f"after loading: process {reading.cpu_mb:.0f} MB; system ")
    assert f"of {reading.system_total_bytes / MIB:.0f} MB used ({reading.system_percent:.1f} %)" in text
    assert f"{reading.system_available_bytes / MIB:.0f} MB available" in text
    assert "GPU" in text


WITHOUT_LOGGING = """
import sys
import archiver
watch = archiver.MemoryMonitor(cpu_threshold_mb=1)
watch.log_memory_stats("start")
watch.check_and_cleanup("loop")
assert not {"keras", "tensorflow", "torch", "jax", "numpy"} & set(sys.modules), "it is for any program"
"""


def test_in_a_program_without_keras_and_without_logging_set_up():
    done = subprocess.run([sys.executable, "-c", WITHOUT_LOGGING], check=True, capture_output=True, text=True)
    lines = done.stderr.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["start", "loop", "loop"]


def collections(watch, checks):
    counts = []
    for _ in range(checks):
        before = gc.get_stats()[2]["collections"]
        watch.check_and_cleanup()
        counts.append(gc.get_stats()[2]["collections"] - before)
    return counts


def test_cadence():
    assert collections(monitor(collect_every=3, freeze=False), 7) == [0, 0, 1, 0, 0, 1, 0]
    assert collections(monitor(collect_every=1, freeze=False), 3) == [1, 1, 1]
    assert collections(monitor(), 3) == [0, 0, 0]
    assert gc.get_freeze_count() == 0


def test_the_cadence_is_cheap_and_a_cleanup_looks_at_everything_all_the_same():
    monitor().cleanup("what other tests have left")
    watch = monitor(collect_every=1)
    ballast = [[number] for number in range(300_000)]
    old = Knot()
    watch.check_and_cleanup()
    assert gc.get_freeze_count() > len(ballast)
    before = now_mb()
    del old
    watch.check_and_cleanup()
    assert now_mb() > before - 50, "it was set aside"
    assert watch.cleanup("now").cpu_freed_bytes / MIB > 90
    assert gc.get_freeze_count() > len(ballast), "and so are the others, again"


def test_arrays_that_nobody_else_refers_to_are_freed():
    watch, cache = monitor(), {"x": np.ones(80 * MIB, np.uint8)}
    report = watch.cleanup_arrays(cache.pop("x"))
    assert (report.freed_count, report.still_referenced_count) == (1, 0)
    blocks = [np.ones(40 * MIB, np.uint8), np.ones(40 * MIB, np.uint8)]
    report = watch.cleanup_arrays(blocks, {"a": np.ones(40 * MIB, np.uint8)})
    assert blocks == []
    assert report.freed_count == 3
    assert report.cleanup.cpu_freed_bytes / MIB == pytest.approx(120, abs=5)


def test_arrays_that_somebody_refers_to_are_not_and_it_says_so(caplog):
    caplog.set_level(logging.INFO, logger="archiver.memory")
    array = np.ones(30 * MIB, np.uint8)
    report = monitor().cleanup_arrays(array, [np.ones(MIB, np.uint8)])
    assert (report.freed_count, report.still_referenced_count) == (1, 1)
    assert report.still_referenced_bytes == 30 * MIB
    assert array.sum() == 30 * MIB, "it is untouched"
    assert "others refer to 1 arrays (30 MB), which no function can free" in caplog.text


def test_chunks():
    watch = monitor()
    assert [list(chunk) for chunk in watch.chunks(range(10), 4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [list(chunk) for chunk in watch.chunks(iter("abc"), 2)] == [["a", "b"], ["c"]]
    assert list(watch.chunks([], 3)) == []
    array = np.arange(7)
    pieces = list(watch.chunks(array, 5))
    assert all(np.shares_memory(piece, array) for piece in pieces)
    assert [reading.context for reading in watch.history[:3]] == ["after chunk 0", "after chunk 1", "after chunk 2"]


def test_chunks_keep_memory_low():
    """Each round leaves 50 MB in a cycle; the whole would be 500 MB."""
    gc.collect()
    gc.disable()
    try:
        before, watch, most = now_mb(), monitor(), 0.0
        for _ in watch.chunks(range(10), 1):
            knot = Knot()
            knot.block = knot.block[: 50 * MIB].copy()
            del knot
            most = max(most, now_mb())
    finally:
        gc.enable()
    assert most < before + 250


def test_presets():
    assert list(PRESETS) == ["conservative", "standard", "aggressive"]
    watch = archiver.MemoryMonitor.preset("aggressive", auto_cleanup=False)
    most = 0.85 * machine_memory_bytes() / MIB
    assert watch.cpu_threshold_mb == min(1000, most)
    assert not watch.auto_cleanup
    assert archiver.MemoryMonitor.preset("conservative").cpu_threshold_mb == min(4000, most)
    with pytest.raises(ArgumentError, match=r"Received preset 'brave'\. Expected one of 'conservative', 'standard'"):
        archiver.MemoryMonitor.preset("brave")


@pytest.mark.parametrize(
    "arguments",
    [
        {"cpu_threshold_mb": 0}, {"cpu_threshold_mb": -5}, {"cpu_threshold_mb": float("nan")},
        {"cpu_threshold_mb": float("inf")}, {"cpu_threshold_mb": True}, {"cpu_threshold_mb": "2000"},
        {"cpu_threshold_mb": 1 << 40}, {"gpu_threshold_mb": 0}, {"gpu_threshold_mb": -1}, {"collect_every": 0},
        {"collect_every": 1.5}, {"cleanup_pause_seconds": -1},
    ],
)  # fmt: skip
def test_bad_input(arguments):
    with pytest.raises(ArgumentError, match=f"Received {next(iter(arguments))}"):
        archiver.MemoryMonitor(**arguments)


def test_more_bad_input():
    with pytest.raises(ArgumentError, match="Received size=0"):
        monitor().chunks([1], 0)
    with pytest.raises(ArgumentError, match=r"Received int\. Expected arrays"):
        monitor().cleanup_arrays(5)


def test_the_example(tmp_path):
    example = Path(__file__).parents[2] / "examples" / "count_words.py"
    command = [sys.executable, example, "--modules", "40", "--chunk-size", "10", "--threshold-mb", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("40 modules: self ")
    assert "8 readings" not in done.stdout
    assert "10 readings" in done.stdout, "four chunks, twice each, the start and the end"
    assert "freed" in done.stderr

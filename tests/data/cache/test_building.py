"""Recordings become caches: whole, in whatever way the build was disturbed; what cannot be taken is named."""

import os
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.data import CacheStorage, Recording, RecordingSource, WindowCache, Windowing, build_cache, verify_cache
from archiver.data.cache.extraction import Skipped, pieces
from archiver.data.cache.records import manifest_path
from archiver.errors import ArgumentError, DataError, RunStateError
from tests.cli.terminals import PROGRAM
from tests.data.cache.recordings import BAD, RATE_HZ, good, recording

ROOT = Path(__file__).parents[3]
PLAN = Path(__file__).with_name("recordings.py")
KILLS = 100 if os.environ.get("ARCHIVER_STRESS") else 4
EXACT = CacheStorage(scale="item")
WINDOWING = Windowing(200, 50)


# -- cutting


@given(
    samples=st.integers(1, 400),
    length=st.integers(1, 60),
    stride=st.one_of(st.none(), st.integers(1, 80)),
    channels=st.one_of(st.none(), st.lists(st.integers(0, 2), min_size=1, max_size=4)),
)
def test_windows_are_those_of_a_plain_loop(samples, length, stride, channels):
    signal = np.random.default_rng(samples).normal(size=(3, samples)).astype("float32")
    windowing = Windowing(length, stride, None if channels is None else tuple(channels))
    found = Recording("a", signal, RATE_HZ, label=7)
    if samples < length:
        with pytest.raises(DataError, match=f"recording of {samples} samples. Expected at least {length}"):
            list(pieces(found, windowing, Skipped()))
        return
    begins = range(0, samples - length + 1, stride or length)
    rows = signal if channels is None else signal[channels]
    taken = list(pieces(found, windowing, Skipped()))
    assert np.array_equal(np.concatenate([piece.windows for piece in taken]), [rows[:, b : b + length] for b in begins])
    assert np.concatenate([piece.begin_samples for piece in taken]).tolist() == list(begins)
    assert set(np.concatenate([piece.labels for piece in taken])) == {7}


def test_windows_at_events(tmp_path):
    windowing = Windowing(200, events={"go": 1, "stop": 0}, begin_seconds=-0.5, channels=("E2", "E0"))
    result = build_cache(tmp_path / "a.h5", [recording(0)], windowing, EXACT)
    assert (result.is_complete, result.window_count) == (True, 3)
    cache = WindowCache.open(tmp_path / "a.h5")
    assert cache.metadata["begin_sample"].tolist() == [250, 450, 550]
    assert cache.labels.tolist() == [1, 1, 0]
    assert cache.items[0].source["skipped"]["events_beyond_the_end"] == 2
    signal = recording(0).signal
    assert np.array_equal(cache.read_stored(np.arange(3))[1], signal[[2, 0], 450:650])
    assert np.array_equal(cache.read(np.array([2]))[0], signal[[2, 0], 550:750] * np.float32(0.25))


def test_an_event_that_no_recording_has_is_told(tmp_path):
    windowing = Windowing(200, events={"go": 1, "stopp": 0})
    result = build_cache(tmp_path / "a.h5", [recording(0)], windowing, EXACT)
    assert result.absent_events == ("stopp",)
    assert result.is_complete
    assert re.search(r"COMPLETE: 1 recording, .* none of them has the event 'stopp'", result.final_line())
    assert WindowCache.open(tmp_path / "a.h5").items[0].source["skipped"]["absent_events"] == ["stopp"]


def test_events_that_a_recording_does_not_have_are_named(tmp_path):
    result = build_cache(tmp_path / "a.h5", [recording(0)], Windowing(200, events={"closed": 1}), EXACT)
    assert not result.is_complete
    assert re.search("without the events 'closed'. It has 'go', 'stop'", result.failed["recording-0"])


def test_from_memory_maps_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("archiver.data.cache.extraction.PIECE_BYTES", 5000)
    values = np.memmap(tmp_path / "signal", "float32", "w+", shape=(2, 5000))
    values[:] = np.random.default_rng(0).normal(size=values.shape)
    build_cache(tmp_path / "a.h5", [Recording("one", values, RATE_HZ)], Windowing(100, 30))
    found = WindowCache.open(tmp_path / "a.h5")
    assert found.shape == (164, 2, 100)
    assert np.array_equal(found.read(np.arange(164)), [values[:, b : b + 100] for b in range(0, 4901, 30)])


# -- what cannot be taken


@pytest.mark.parametrize("workers", [1, 2])
def test_what_cannot_be_taken_is_named_and_nothing_else_is_lost(tmp_path, workers):
    sources = [RecordingSource("good", good), *(RecordingSource(n, b[0]) for n, b in BAD.items())]
    sources.append(RecordingSource("also good", good))
    windowing, lines = Windowing(200, 50, sampling_rate_hz=RATE_HZ), []
    result = build_cache(tmp_path / "a.h5", sources, windowing, EXACT, workers=workers, on_line=lines.append)
    assert list(result.failed) == list(BAD)
    for name, (_, reason) in BAD.items():
        assert re.search(reason, result.failed[name]), (name, result.failed[name])
        assert any(line.startswith(f"{name}: NOT TAKEN: ") for line in lines)
    assert any("Traceback" in line for line in lines)
    assert (result.item_count, result.window_count) == (2, 34)
    assert result.final_line().startswith("NOT COMPLETE: 2 recordings, 34 windows in")
    assert verify_cache(tmp_path / "a.h5").findings == ()
    mended = [RecordingSource(each.name, good) for each in sources]
    result = build_cache(tmp_path / "a.h5", mended, windowing, EXACT, workers=workers)
    assert (result.is_complete, result.item_count) == (True, 10)
    assert not (tmp_path / "a.h5.parts").exists()


def test_windows_that_are_not_finite(tmp_path):
    signal = np.ones((2, 1000), "float32")
    signal[1, 250], signal[0, 900] = np.nan, np.inf
    result = build_cache(tmp_path / "a.h5", [Recording("r", signal, RATE_HZ)], Windowing(100))
    assert "window at sample 200 with a value that is not finite" in result.failed["r"]
    windowing, lines = Windowing(100, bad_windows="skip"), []
    result = build_cache(tmp_path / "b.h5", [Recording("r", signal, RATE_HZ)], windowing, on_line=lines.append)
    assert result.window_count == 8
    cache = WindowCache.open(tmp_path / "b.h5")
    assert cache.items[0].source["skipped"]["non_finite_windows"] == 2
    assert cache.metadata["begin_sample"].tolist() == [0, 100, 300, 400, 500, 600, 700, 800]
    assert any("non_finite_windows 2" in line for line in lines)


def test_arguments_that_cannot_be(tmp_path):
    for sources, text in (([], "no recordings"), ([recording(1), recording(1)], "two recordings of the name")):
        with pytest.raises(ArgumentError, match=text):
            build_cache(tmp_path / "a.h5", sources, WINDOWING)
    with pytest.raises(DataError, match=r"no recording that can be taken:\nrecording-1: Received a signal of shape"):
        build_cache(tmp_path / "a.h5", [recording(1, samples=0)], WINDOWING)
    with pytest.raises(ArgumentError, match="workers"):
        build_cache(tmp_path / "a.h5", [recording(1)], WINDOWING, workers=0)
    for arguments in ({"length_samples": 0}, {"length_samples": 3, "stride_samples": 0}, {"bad_windows": "?"}):
        with pytest.raises(ArgumentError):
            Windowing(**{"length_samples": 3} | arguments)
    build_cache(tmp_path / "a.h5", [recording(1)], WINDOWING, EXACT)
    with pytest.raises(RunStateError, match="complete without 'recording-2'"):
        build_cache(tmp_path / "a.h5", [recording(1), recording(2)], WINDOWING, EXACT)
    with pytest.raises(RunStateError, match="was begun with description"):
        build_cache(tmp_path / "a.h5", [recording(1)], Windowing(200, 51), EXACT)


def test_recordings_that_cannot_go_to_another_process(tmp_path):
    lock = threading.Lock()
    sources = [RecordingSource(f"r{number}", lambda: recording(0 if lock else 1)) for number in range(3)]
    with pytest.raises(ArgumentError, match="workers=1"):
        build_cache(tmp_path / "a.h5", sources, WINDOWING, EXACT, workers=2)
    assert build_cache(tmp_path / "a.h5", sources, WINDOWING, EXACT).is_complete


# -- stopping


def start(folder, count, seconds, *words):
    environment = os.environ | {"OUTPUT": str(folder / "{release}.h5"), "COUNT": str(count), "SECONDS": str(seconds)}
    command = [PROGRAM, "cache", "build", str(PLAN), *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            start_new_session=True)  # fmt: skip


def files_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@pytest.mark.stress
@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_at_random_moments_the_caches_are_those_of_an_undisturbed_build(tmp_path, workers):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    output, errors = start(whole, 12, 0).communicate()
    assert "COMPLETE: 6 recordings, 102 windows" in output, errors
    chance, kills, rounds = random.Random(int(workers)), 0, 0
    while kills < KILLS // 2:
        folder = killed / str(rounds)
        rounds += 1
        while True:
            process = start(folder, 12, 0.01, "--workers", workers)
            try:
                process.wait(chance.uniform(0.3, 2.0) if kills < KILLS // 2 else None)
                break
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                kills += 1
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        assert output.count("COMPLETE") == 2
        assert files_of(folder) == files_of(whole)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(tmp_path, signal_number):
    process = start(tmp_path / "a", 12, 0.1, "--workers", "1" if signal_number == signal.SIGTERM else "2")
    deadline = time.monotonic() + 60
    while not any(b'"item"' in path.read_bytes() for path in (tmp_path / "a").glob("*.manifest.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal_number)
    output, errors = process.communicate()
    assert process.returncode == 7, errors
    assert f"STOPPED (signal {signal.Signals(signal_number).name})" in output.splitlines()[-1]
    (log,) = (tmp_path / "a" / "logs").glob("*.log")
    assert "STOPPED (signal" in log.read_text()
    for cache in (tmp_path / "a").glob("*.h5"):
        assert verify_cache(cache).findings == ()
    process = start(tmp_path / "a", 12, 0)
    assert "COMPLETE" in process.communicate()[0].splitlines()[-1]
    start(tmp_path / "whole", 12, 0).communicate()
    assert files_of(tmp_path / "a") == files_of(tmp_path / "whole")


class Growing:
    """A signal whose reader keeps all it ever read, or never comes back."""

    shape, dtype = (4, 20_000), np.dtype("int16")

    def __init__(self):
        self.kept = []

    def __getitem__(self, key):
        self.kept.append(np.ones(4 << 20))
        time.sleep(0.05)
        return np.zeros((4, 20_000), "int16")[key]


def test_it_stops_before_memory_runs_out(tmp_path, monkeypatch):
    monkeypatch.setattr("archiver.data.cache.extraction.PIECE_BYTES", 10_000)
    used = anonymous_bytes()
    sources = [recording(0), recording(1, signal=Growing())]
    result = build_cache(tmp_path / "a.h5", sources, WINDOWING, EXACT, memory_limit_bytes=used + 300_000_000)
    assert (result.is_memory, result.item_count) == (True, 1)
    assert result.stopped.startswith("memory: ")
    assert "run it again to go on" in result.final_line()
    assert build_cache(tmp_path / "a.h5", [recording(0), recording(1)], WINDOWING, EXACT).is_complete


def anonymous_bytes():
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


DEAF = """
import sys
import numpy as np
from archiver.data import CacheStorage, Windowing, build_cache
from tests.data.cache.recordings import recording
class Deaf:
    shape, dtype = (4, 20_000), np.dtype("int16")
    def __getitem__(self, key):
        kept = []
        while True:
            kept.append(np.ones(1 << 20))
build_cache(sys.argv[1], [recording(0), recording(1, signal=Deaf())], Windowing(200, 50), CacheStorage(scale="item"),
            memory_limit_bytes=600_000_000, on_line=lambda line: print(line, flush=True))
"""


def test_a_reader_that_takes_all_memory_ends_the_process_and_nothing_is_lost(tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", DEAF, str(tmp_path / "a.h5")], cwd=ROOT, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 36, 1 << 36)),
    )  # fmt: skip
    assert process.returncode == os.EX_TEMPFAIL, process.stderr
    assert process.stdout.splitlines()[-1].startswith("STOPPED: ")
    assert WindowCache.open(tmp_path / "a.h5", allow_incomplete=True).items[0].item == "recording-0"
    assert build_cache(tmp_path / "a.h5", [recording(0), recording(1)], WINDOWING, EXACT).is_complete


SMALL_FILES = """
import resource, signal, sys
from archiver.data import CacheStorage, Windowing, build_cache
from tests.data.cache.recordings import recording
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    build_cache(sys.argv[1], map(recording, range(5)), Windowing(200, 50), CacheStorage(scale="item"))
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_file_that_may_not_grow_loses_nothing(tmp_path):
    process = subprocess.run([sys.executable, "-c", SMALL_FILES, str(tmp_path / "a.h5")], cwd=ROOT,
                             capture_output=True, text=True, check=False)  # fmt: skip
    assert "StorageError" in process.stdout
    assert "cannot write" in process.stdout, process.stderr
    report = verify_cache(tmp_path / "a.h5")
    assert (report.findings, report.is_complete) == ((), False)
    assert 0 < report.item_count < 5
    assert build_cache(tmp_path / "a.h5", map(recording, range(5)), WINDOWING, EXACT).is_complete
    build_cache(tmp_path / "b.h5", map(recording, range(5)), WINDOWING, EXACT)
    for of in (Path, manifest_path):
        assert of(tmp_path / "a.h5").read_bytes() == of(tmp_path / "b.h5").read_bytes()

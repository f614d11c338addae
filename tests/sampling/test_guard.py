"""The guard: memory that really runs out, in processes of their own, and containers made of files."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import psutil
import pytest

from archiver.errors import ArgumentError
from archiver.records.telemetry import GuardEvent
from archiver.sampling.guard import MemoryGuard
from tests.sampling.test_container import GIB, version_2, write

MIB = 1 << 20

GREEDY = """
import sys, time
import numpy as np
from archiver.sampling.guard import MemoryGuard
MIB = 1 << 20
np.ones(MIB)
guard = MemoryGuard(lambda event: None)
base = guard._memory.anonymous_bytes()
guard.stop()
stopped = []
def stop(event):
    stopped.append(guard._memory.anonymous_bytes())
guard = MemoryGuard(stop, lambda event: None, hard_limit_bytes=base + 300 * MIB)
guard.start()
blocks = []
begin = time.monotonic()
while not stopped and time.monotonic() - begin < 60:
    blocks.append(np.ones(4 * MIB, np.uint8))
    time.sleep(0.002)
time.sleep(0.1)
soft, hard = guard.events
assert (soft.level, hard.level, hard.gauge) == ("soft", "hard", "process")
assert not guard.is_running, "the hard limit is the end of the watch"
print((hard.used_bytes - base) / MIB, len(stopped))
"""


def test_a_process_that_grows_is_noticed_in_time_and_once():
    output = subprocess.run([sys.executable, "-c", GREEDY], check=True, capture_output=True, text=True).stdout
    grown, calls = output.split()
    assert 300 < float(grown) < 300 + 200
    assert calls == "1"


MAPPED = """
import mmap, os, sys, tempfile, time
from archiver.sampling.guard import MemoryGuard
MIB = 1 << 20
guard = MemoryGuard(lambda event: None, hard_limit_bytes=256 * MIB, poll_seconds=0.002)
guard.start()
with tempfile.TemporaryFile() as file:
    file.truncate(512 * MIB)
    view = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    assert sum(view[at] for at in range(0, len(view), 4096)) == 0
    time.sleep(0.1)
    assert guard._memory.rss_bytes() > 512 * MIB
    assert guard._poll_count > 0
    assert guard.events == [], guard.events
"""


def test_a_mapped_file_is_no_danger():
    subprocess.run([sys.executable, "-c", MAPPED], check=True)


def test_the_defaults_go_by_what_is_really_available():
    guard = MemoryGuard(print)
    available = psutil.virtual_memory().available
    assert guard.capacity_bytes <= available + psutil.Process().memory_info().rss + 512 * MIB
    assert guard.limits.hard_limit_bytes == int(0.85 * guard.capacity_bytes)
    assert guard.limits.soft_limit_bytes == int(0.70 * guard.capacity_bytes)
    guard.stop()


def test_a_container(tmp_path):
    """1 GiB of 2 is in use, 150 MiB of it page cache: 0.85 of what is left and of ours is the capacity."""
    process, mount = version_2(tmp_path)
    events = []
    guard = MemoryGuard(events.append, events.append, process=process)
    own = guard._memory.anonymous_bytes()
    capacity = min(GIB + 150 * MIB, psutil.virtual_memory().available) + own
    assert guard.capacity_bytes == pytest.approx(capacity, abs=32 * MIB)
    guard.poll()
    assert events == []
    headroom = int(0.15 * guard.capacity_bytes)
    write(mount / "job/memory.current", 2 * GIB - headroom + 100 * MIB)
    guard.poll()
    assert [event.level for event in events] == ["soft"], "the page cache can be given up"
    write(mount / "job/memory.current", 2 * GIB - headroom + 151 * MIB)
    guard.poll()
    guard.poll()
    assert [(event.level, event.gauge) for event in events] == [("soft", "container"), ("hard", "container")]
    assert GuardEvent.model_validate_json(events[1].model_dump_json()) == events[1]
    assert events[1].limit_bytes == pytest.approx(2 * GIB - headroom, abs=2)
    guard.stop()


def test_a_callback_that_fails_is_noted():
    def fail(event):
        raise RuntimeError("no disk")

    guard = MemoryGuard(fail, hard_limit_bytes=1)
    guard.poll()
    assert [event.level for event in guard.events] == ["soft", "hard"]
    assert guard.callback_failure == "RuntimeError: no disk"
    guard.stop()


def test_starting_and_stopping():
    before = threading.active_count()
    guard = MemoryGuard(print)
    guard.start()
    assert guard.is_running
    deadline = time.monotonic() + 20
    while guard._poll_count < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    guard.stop()
    assert threading.active_count() == before
    assert guard.events == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"hard_fraction": 0}, {"hard_fraction": 1}, {"hard_fraction": -0.5}, {"hard_fraction": float("nan")},
        {"soft_fraction": 0.9}, {"hard_limit_bytes": 0}, {"hard_limit_bytes": -1}, {"hard_limit_bytes": 1 << 60},
        {"hard_limit_bytes": 1.5}, {"soft_limit_bytes": 1 << 60}, {"poll_seconds": 0}, {"poll_seconds": 60},
        {"hard_limit_bytes": 100, "soft_limit_bytes": 101},
    ],
)  # fmt: skip
def test_bad_input(arguments):
    with pytest.raises(ArgumentError, match="Received"):
        MemoryGuard(print, **arguments)


def test_a_limit_above_the_containers(tmp_path):
    process, _ = version_2(tmp_path)
    with pytest.raises(ArgumentError, match=f"up to {2 * GIB}"):
        MemoryGuard(print, hard_limit_bytes=2 * GIB + 1, process=process)

"""The processes below this one, against psutil."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from archiver.sampling.children import ChildrenSampler
from tests.sampling.brackets import sample_twice

MIB = 1 << 20
WORKER = "block = bytearray(b'x' * (40 << 20)); print('ready', flush=True); input()"
NESTED = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WORKER!r}])"


def worker(code: str = WORKER) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def end(*processes):
    for process in processes:
        process.stdin.close()
        process.wait()
        process.stdout.close()


@pytest.fixture
def sampler():
    made = ChildrenSampler()
    yield made
    made.close()


def look_again(sampler):
    """As if the time between two looks had passed."""
    sampler._family.next_look = 0.0
    return sampler.sample()


def test_workers_and_those_below_them(sampler):
    before = sampler.sample().children_count
    processes = [worker(), worker(), worker(NESTED)]
    reading = look_again(sampler)
    expected = psutil.Process().children(recursive=True)
    assert reading.children_count == before + 4 == len(expected)
    rss = sum(child.memory_info().rss for child in expected)
    assert abs(reading.children_rss_bytes - rss) < 2 * MIB
    assert rss > 3 * 40 * MIB
    end(*processes)
    assert sampler.sample().children_count == before, "without another look"


def test_their_cpu_time(sampler):
    busy = worker("print('ready', flush=True)\nwhile True: pass")
    idle = worker()
    look_again(sampler)

    def spent():
        times = psutil.Process(busy.pid).cpu_times()
        return times.user + times.system

    reading, least, most = sample_twice(sampler.sample, lambda: time.sleep(0.4), spent)
    busy.kill()
    end(busy, idle)
    assert least * 100 - 5 <= reading.children_cpu_percent <= most * 100 + 5, "the kernel counts in steps of 10 ms"
    assert reading.children_cpu_percent > 5


def test_a_process_that_nobody_has_waited_for_is_none(sampler):
    process = worker()
    before = look_again(sampler).children_count
    process.stdin.close()
    deadline = time.monotonic() + 20
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sampler.sample().children_count == before - 1
    end(process)


def test_looking_through_proc_is_rationed(sampler):
    sampler.sample()
    family = sampler._family
    assert family.next_look > time.monotonic() + 0.05, "a look takes some 0.1 ms, a share of 1e-4 of a core"

"""This process: values against psutil, and peaks of memory that are shorter than any sampling could see."""

from __future__ import annotations

import mmap
import os
import resource
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from archiver.sampling.peaks import PeakMeter, lifetime_peak_bytes, why_inexact
from archiver.sampling.process import ProcessSampler
from tests.sampling.brackets import sample_twice

MIB = 1 << 20
linux = pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")


@pytest.fixture
def sampler():
    made = ProcessSampler()
    yield made
    made.close()


def test_against_psutil(sampler):
    process = psutil.Process()
    reading = sampler.sample()
    assert abs(reading.rss_bytes - process.memory_info().rss) < 2 * MIB
    assert reading.thread_count == process.num_threads()
    assert abs(reading.open_file_count - process.num_fds()) <= 2
    full = process.memory_full_info()
    assert abs(reading.uss_bytes - full.uss) < 2 * MIB
    assert abs(reading.pss_bytes - full.pss) < 2 * MIB
    assert reading.cpu_percent is None
    assert len(sampler.cells(reading)) == len(sampler.columns)


def test_cpu_time_and_page_faults(sampler):
    sampler.sample()  # the first one is slow

    def work():
        begin = time.process_time()
        while time.process_time() - begin < 0.1:
            pass

    reading, least, most = sample_twice(sampler.sample, work, time.process_time)
    assert least * 100 <= reading.cpu_percent <= most * 100
    assert reading.uss_bytes is None, "dividing the memory is too slow for every sample"
    faults = lambda: float(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)  # noqa: E731

    def touch():
        with mmap.mmap(-1, 16 * MIB) as fresh:
            fresh.write(bytes(16 * MIB))

    reading, least, most = sample_twice(sampler.sample, touch, faults)
    assert 0 < least <= reading.minor_faults_per_second <= most


def test_written_bytes(sampler, tmp_path):
    if "read_bytes_per_second, written_bytes_per_second" in sampler.unavailable:
        pytest.skip("/proc/self/io cannot be read")

    def work():
        with open(tmp_path / "data", "wb") as file:
            file.write(bytes(8 * MIB))
            file.flush()
            os.fsync(file.fileno())

    def written():
        return float(psutil.Process().io_counters().write_bytes)

    reading, least, most = sample_twice(sampler.sample, work, written)
    assert least <= reading.written_bytes_per_second <= most
    assert least == 0 or most > 8 * MIB / 60, "0: a file system in memory"


SPIKES = """
import sys, time, random
import numpy as np
from archiver.sampling.peaks import PeakMeter, why_inexact
from archiver.sampling.process import ProcessSampler
MIB = 1 << 20
assert why_inexact() is None
sampler, meter = ProcessSampler(), PeakMeter()
np.ones(8 * MIB, np.uint8)
rng = random.Random(7)
sampler.sample(); meter.take()
for _ in range(20):
    size = rng.randrange(20, 200) * MIB
    before = sampler.sample().rss_bytes
    spike = np.ones(size, np.uint8)
    time.sleep(0.005)
    del spike
    reading = sampler.sample()
    assert reading.rss_bytes < before + MIB, "the spike is over"
    print(size / MIB, (reading.peak_rss_bytes - before) / MIB, (meter.take() - before) / MIB)
print("quiet", sampler.sample().peak_rss_bytes / MIB, sampler.sample().rss_bytes / MIB)
"""


@linux
def test_spikes_of_5_ms_are_caught_by_all_who_ask():
    if why_inexact():
        pytest.skip(why_inexact())
    output = subprocess.run([sys.executable, "-c", SPIKES], check=True, capture_output=True, text=True).stdout
    *spikes, quiet = output.splitlines()
    assert len(spikes) == 20
    for line in spikes:
        size, seen_by_sampler, seen_by_meter = map(float, line.split())
        assert abs(seen_by_sampler - size) < 1, line
        assert abs(seen_by_meter - size) < 1, line
    peak, rss = map(float, quiet.split()[1:])
    assert peak - rss < 1, "a spike is told once"


NOT_PERMITTED = """
import numpy as np
from archiver.sampling import peaks
peaks.CLEAR_REFS = "/proc/self/there_is_no_such_file"
from archiver.sampling.process import ProcessSampler
MIB = 1 << 20
sampler = ProcessSampler()
base = sampler.sample().rss_bytes
np.ones(100 * MIB, np.uint8)
first = sampler.sample()
assert 99 < (first.peak_rss_bytes - base) / MIB < 101, "a mark that rose tells the peak"
np.ones(50 * MIB, np.uint8)
second = sampler.sample()
assert second.peak_rss_bytes < base + 10 * MIB, "it does not pretend to know"
print(sampler.unavailable["peak_rss_bytes"])
"""


@linux
def test_where_the_mark_cannot_be_reset():
    output = subprocess.run([sys.executable, "-c", NOT_PERMITTED], check=True, capture_output=True, text=True).stdout
    assert "does not let the high-water mark be reset" in output
    assert "stands in" in output


def test_the_lifetime_peak_survives_resets():
    meter = PeakMeter()
    block = np.ones(64 * MIB, np.uint8)
    peak = psutil.Process().memory_info().rss
    del block
    meter.take()
    meter.take()
    assert lifetime_peak_bytes() >= peak - MIB


@linux
def test_a_forked_child_measures_itself(sampler):
    block = np.ones(200 * MIB, np.uint8)
    sampler.sample()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        del block
        sampler.sample()
        os.write(writer, str(sampler.sample().anonymous_bytes).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert sampler.sample().anonymous_bytes - int(os.read(reader, 100)) > 150 * MIB
    os.close(reader)
    os.close(writer)
    del block

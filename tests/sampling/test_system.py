"""The machine, against psutil."""

from __future__ import annotations

import os
import time

import psutil
import pytest

from archiver.sampling import system
from archiver.sampling.system import SystemSampler
from tests.sampling.brackets import sample_twice

MIB = 1 << 20


@pytest.fixture
def sampler(tmp_path):
    made = SystemSampler(tmp_path)
    yield made
    made.close()


def test_against_psutil(sampler, tmp_path):
    reading, memory = sampler.sample(), psutil.virtual_memory()
    assert abs(reading.system_available_bytes - memory.available) < 256 * MIB
    assert reading.system_used_bytes + reading.system_available_bytes == memory.total
    assert abs(reading.swap_used_bytes - psutil.swap_memory().used) < 64 * MIB
    assert abs(reading.disk_free_bytes - psutil.disk_usage(str(tmp_path)).free) < 1024 * MIB
    assert reading.load_1_minute == pytest.approx(os.getloadavg()[0], abs=0.5)
    assert reading.system_cpu_percent is None
    assert len(sampler.cells(reading)) == len(sampler.columns)


def test_cpu_of_each_core(sampler):
    def busy_ticks():
        times = psutil.cpu_times()
        return sum(times[:8]) - times.idle - getattr(times, "iowait", 0.0), sum(times[:8])

    sampler.sample()
    busy, total = busy_ticks()
    spent = time.process_time()
    while time.process_time() - spent < 0.3:
        pass
    reading = sampler.sample()
    busy, total = (now - then for now, then in zip(busy_ticks(), (busy, total), strict=True))
    assert reading.system_cpu_percent == pytest.approx(100 * busy / total, abs=15)
    assert len(reading.core_percents) == psutil.cpu_count()
    assert reading.busiest_core_percent == max(reading.core_percents)
    assert all(0 <= core <= 100 for core in reading.core_percents)
    assert len(sampler.cells(reading)) == len(sampler.columns)


def test_more_cores_than_columns(monkeypatch):
    monkeypatch.setattr(system, "MAXIMAL_CORES", 0)
    sampler = SystemSampler()
    assert not any(column.name.startswith("core_") for column in sampler.columns)
    assert "there are columns for up to 0" in sampler.unavailable["core_..._percent"]
    sampler.sample()
    assert len(sampler.cells(sampler.sample())) == len(sampler.columns)
    sampler.close()


def test_disk_and_network_traffic(monkeypatch, tmp_path):
    """The counters as the kernel writes them, partitions and loopback left out."""
    disks, network = tmp_path / "diskstats", tmp_path / "dev"
    line = " 254       {} {} 100 0 {} 5 200 0 {} 9 0 4 33 3 2 1 3 2 203 23\n"
    head = "Inter-|   Receive  |  Transmit\n face |bytes packets\n"

    def write(sectors_read, sectors_written, received, sent):
        disks.write_text(
            line.format(0, "vda", sectors_read, sectors_written) + line.format(1, "vda1", 5, 5)
            + line.format(2, "loop0", 7, 7)
        )  # fmt: skip
        row = "{:>6}: {} 1 0 0 0 0 0 0 {} 2 0 0 0 0 0 0\n"
        network.write_text(head + row.format("lo", 99, 99) + row.format("eth0", received, sent))

    write(10, 20, 1000, 2000)
    real = system.kept
    fakes = {"/proc/diskstats": disks, "/proc/net/dev": network}
    monkeypatch.setattr(system, "kept", lambda path, is_list=False: real(fakes.get(path, path), is_list))
    monkeypatch.setattr(system, "_disk_names", lambda: frozenset({b"vda"}))
    monkeypatch.setattr(system, "_interfaces", lambda: frozenset({b"eth0"}))
    monkeypatch.setattr(system, "TRAFFIC_SECONDS", 0.0)
    sampler = SystemSampler()
    assert sampler.sample().disk_read_bytes_per_second is None
    clock = [0.0]
    reading, slowest, fastest = sample_twice(
        sampler.sample,
        lambda: (time.sleep(0.05), write(110, 220, 6000, 9000), clock.__setitem__(0, 1.0)),
        lambda: clock[0],
    )
    for value, expected in zip(reading[6:10], (100 * 512, 200 * 512, 5000, 7000), strict=True):
        assert slowest * expected <= value <= fastest * expected
    sampler.close()

"""Memory of a piece of work: what was there, what came on top, what stayed; on GPUs too, where there are some."""

import time

import numpy as np
import pytest

from archiver.ensemble import measuring
from archiver.ensemble.measuring import measured

MB = 1 << 20


def test_a_short_peak_and_what_stays():
    with measured() as use:
        np.ones(200 * MB // 8).sum()
        kept = np.ones(50 * MB // 8)
    memory = use.memory
    assert memory.is_peak_exact
    assert 195 <= memory.added_mb <= 230
    assert 45 <= (memory.after_bytes - memory.before_bytes) / MB <= 80
    assert memory.gpu_peak_bytes is None or memory.gpu_peak_bytes >= 0
    assert kept.size
    assert use.seconds > 0


def test_work_that_fails_is_measured_all_the_same():
    with pytest.raises(ValueError, match="planted"), measured() as use:
        raise ValueError("planted")
    assert use.memory.peak_bytes >= use.memory.before_bytes


def test_the_peak_on_a_gpu_is_the_largest_of_the_samples(monkeypatch):
    class Gpu:
        unavailable = None
        used = 5 * MB

        def used_bytes(self):
            return Gpu.used

        def close(self):
            Gpu.used = None

    monkeypatch.setattr(measuring, "GpuMemory", Gpu)
    monkeypatch.setattr(measuring, "GPU_POLL_SECONDS", 0.005)
    with measured() as use:
        time.sleep(0.05)
        Gpu.used = 700 * MB
        time.sleep(0.05)
        Gpu.used = 20 * MB
        time.sleep(0.05)
    assert use.memory.gpu_peak_bytes == 700 * MB
    assert Gpu.used is None

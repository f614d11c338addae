"""Systems without /proc, such as macOS: psutil stands in, and what it cannot tell is said. Here /proc is hidden."""

from __future__ import annotations

import subprocess
import sys

HIDDEN = """
import subprocess, sys, tempfile, time
from archiver.sampling import kept

def refuse(self, path, is_list=False):
    self._descriptor = -1
    raise FileNotFoundError(2, "No such file or directory", path)

kept.KeptFile.__init__ = refuse
import psutil
from archiver.sampling import peaks
peaks.CLEAR_REFS = "/there/is/no/such/file"
from archiver.sampling.children import ChildrenSampler
from archiver.sampling.guard import MemoryGuard
from archiver.sampling.process import ProcessSampler
from archiver.sampling.recorder import TelemetryRecorder
from archiver.sampling.system import SystemSampler
from archiver import MemoryMonitor
MIB = 1 << 20
process = ProcessSampler()
reading = process.sample()
assert abs(reading.rss_bytes - psutil.Process().memory_info().rss) < 2 * MIB
assert reading.peak_rss_bytes >= reading.rss_bytes
assert reading.anonymous_bytes is None and reading.thread_count >= 1
assert process.sample().cpu_percent is not None
assert {"peak_rss_bytes", "anonymous_bytes, swap_bytes", "uss_bytes, pss_bytes"} <= set(process.unavailable)
system = SystemSampler()
system.sample()
time.sleep(0.1)
reading = system.sample()
assert reading.system_used_bytes + reading.system_available_bytes == psutil.virtual_memory().total
assert 0 <= reading.system_cpu_percent <= 100 and len(reading.core_percents) == psutil.cpu_count()
assert "disk_..._bytes_per_second" in system.unavailable
worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
reading = ChildrenSampler().sample()
assert reading.children_count == 1 and reading.children_rss_bytes > MIB
worker.communicate()
monitor = MemoryMonitor(auto_cleanup=False)
assert monitor.check_and_cleanup("here").system_total_bytes == psutil.virtual_memory().total
guard = MemoryGuard(print)
guard.poll()
assert guard.events == []
with tempfile.TemporaryDirectory() as folder:
    recorder = TelemetryRecorder(folder, rate_hertz=50)
    recorder.start()
    time.sleep(0.3)
    recorder.stop()
    summary = recorder.summary()
    assert summary.sample_count >= 2 and summary.failed_sample_count == 0, summary.last_failure
    reasons = [each.reason for each in summary.unavailable_readings]
    assert not any("failed while sampling" in reason for reason in reasons), reasons
"""


def test_psutil_stands_in():
    done = subprocess.run([sys.executable, "-c", HIDDEN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""What sampling costs, against psutil asked for the same things.

python -m benchmarks.sampling
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import psutil

from archiver.sampling.children import ChildrenSampler
from archiver.sampling.container import ContainerSampler
from archiver.sampling.guard import MemoryGuard
from archiver.sampling.memory_sources import ProcessMemory
from archiver.sampling.monitor import MemoryMonitor
from archiver.sampling.process import ProcessSampler
from archiver.sampling.recorder import TelemetryRecorder
from archiver.sampling.system import SystemSampler
from benchmarks.common import interleaved, print_machine, print_table, spread

ROUNDS = int(os.environ.get("ROUNDS", "15"))
CALLS = 200
CHILDREN = 4


def microseconds(function: Callable[[], Any]) -> Callable[[], float]:
    """Measures the CPU time of one call of a function, as a mean over `CALLS`: what others do counts less."""

    def measure() -> float:
        start = time.thread_time()
        for _ in range(CALLS):
            function()
        return (time.thread_time() - start) / CALLS * 1e6

    return measure


def with_psutil(process: psutil.Process) -> None:
    """What `ProcessSampler`, `SystemSampler` and `ContainerSampler` measure in each sample, as far as psutil can."""
    with process.oneshot():
        process.memory_info()
        process.num_threads()
        process.cpu_times()
        process.io_counters()
    psutil.virtual_memory()
    psutil.swap_memory()
    psutil.cpu_times()
    psutil.cpu_times(percpu=True)
    psutil.getloadavg()


def tree_with_psutil(process: psutil.Process) -> None:
    with_psutil(process)
    for child in process.children(recursive=True):
        child.memory_info()
        child.cpu_times()


def measures() -> dict[str, Callable[[], float]]:
    process, own = psutil.Process(), (ProcessSampler(), SystemSampler(), ContainerSampler())
    children = ChildrenSampler()

    def full() -> None:
        for sampler in own:
            sampler.sample()

    def full_with_tree() -> None:
        full()
        children.sample()

    def with_a_new_look() -> None:
        children._family.newest = b""
        children._family.next_look = 0.0
        full_with_tree()

    memory, guard, monitor = ProcessMemory(), MemoryGuard(print), MemoryMonitor()
    named: dict[str, Callable[[], Any]] = {
        "psutil: process, machine": lambda: with_psutil(process),
        "archiver: process with true peak, machine, container (target 60 us)": full,
        "psutil: the same and the process tree": lambda: tree_with_psutil(process),
        "archiver: the same and the process tree": full_with_tree,
        "archiver: ... when a process was started meanwhile (target 250 us)": with_a_new_look,
        "archiver: resident memory alone": memory.rss_bytes,
        "archiver: one look of the guard": guard.poll,
        "archiver: MemoryMonitor.check_and_cleanup below the threshold": monitor.check_and_cleanup,
    }
    return {name: microseconds(function) for name, function in named.items()}


TICKS = """
import sys, tempfile, time
from archiver.sampling.recorder import TelemetryRecorder
with tempfile.TemporaryDirectory() as folder:
    recorder = TelemetryRecorder(folder)
    recorder.start()
    time.sleep(1.5)
    spent = time.process_time()
    time.sleep(20)
    print((time.process_time() - spent) / 20 * 1e6)
    recorder.stop()
"""


def tick_microseconds() -> float:
    """CPU time of one tick at 1 Hz, all of it: the process sleeps, but for waking up, sampling, writing, summing up."""
    done = subprocess.run([sys.executable, "-c", TICKS], capture_output=True, text=True, check=True)
    return float(done.stdout)


def thinning_milliseconds() -> float:
    """One thinning of a full trace."""
    with tempfile.TemporaryDirectory() as folder:
        recorder = TelemetryRecorder(folder, rate_hertz=0.001)
        recorder.start()
        while not recorder.latest:
            time.sleep(0.001)
        trace, pick = recorder._traces[0]
        cells = pick(list(recorder.latest.values()))
        while trace.row_count < trace._limit - 1:
            trace.append(float(trace.row_count), cells)
        start = time.thread_time()
        trace.append(float(trace.row_count), cells)
        seconds = time.thread_time() - start
        recorder.stop()
    return seconds * 1e3


def main() -> None:
    print_machine()
    workers = [subprocess.Popen(["sleep", "600"]) for _ in range(CHILDREN)]
    found = interleaved(measures(), ROUNDS)
    for worker in workers:
        worker.kill()
        worker.wait()
    title = f"CPU time of one sample, median (least to most) of {ROUNDS} rounds in turn; {CHILDREN} processes below"
    print_table(title, ("what", "time"), [(name, spread(values, " us")) for name, values in found.items()])
    ticks = [tick_microseconds() for _ in range(3)]
    thinnings = [thinning_milliseconds() for _ in range(3)]
    rows = [
        ("CPU time of one tick of the recorder", spread(ticks, " us")),
        ("so at 1 Hz, share of a core (target 0.05 %)", spread([tick / 1e4 for tick in ticks], " %")),
        ("thinning a full trace, once in some hours at 1 Hz", spread(thinnings, " ms")),
    ]
    print_table("Everything: waking up, sampling, writing the traces, summing up", ("what", "cost"), rows)


if __name__ == "__main__":
    main()

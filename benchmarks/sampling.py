"""What sampling costs: a sample against psutil asked for the same things, a training with it against one without.

python -m benchmarks.sampling
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import psutil

from archiver.sampling.children import ChildrenSampler
from archiver.sampling.container import ContainerSampler
from archiver.sampling.guard import MemoryGuard
from archiver.sampling.memory_sources import ProcessMemory
from archiver.sampling.monitor import MemoryMonitor
from archiver.sampling.process import ProcessSampler
from archiver.sampling.recorder import TelemetryRecorder
from archiver.sampling.system import SystemSampler
from benchmarks.common import figure, interleaved, note_versions, print_machine, print_table, ratios, spread

ROUNDS = int(os.environ.get("ROUNDS", "15"))
CALLS = 200
SAMPLE = "archiver: process with true peak, machine, container (target 60 us)"
SAMPLE_OF_PSUTIL = "psutil: process, machine"
TREE = "archiver: ... when a process was started meanwhile (target 250 us)"
TREE_OF_PSUTIL = "psutil: the same and the process tree"
CHILDREN = 4
STEPS = int(os.environ.get("STEPS", "3000"))
BATCH_SIZE = 4
HOOKS = 50_000


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
        SAMPLE_OF_PSUTIL: lambda: with_psutil(process),
        SAMPLE: full,
        TREE_OF_PSUTIL: lambda: tree_with_psutil(process),
        "archiver: the same and the process tree": full_with_tree,
        TREE: with_a_new_look,
        "archiver: resident memory alone": memory.rss_bytes,
        "archiver: one look of the guard": guard.poll,
        "archiver: MemoryMonitor.check_and_cleanup below the threshold": monitor.check_and_cleanup,
    }
    return {name: microseconds(function) for name, function in named.items()}


TICKS = """
import sys, tempfile, time
import psutil
from archiver.sampling.recorder import TelemetryRecorder
from archiver.sampling.thread import SteadyThread
from benchmarks.sampling import tree_with_psutil
with tempfile.TemporaryDirectory() as folder:
    process = psutil.Process()
    other = SteadyThread(lambda: tree_with_psutil(process), 1.0, "psutil")
    beside = {"archiver": TelemetryRecorder(folder), "psutil": other}[sys.argv[1]]
    beside.start()
    time.sleep(1.5)
    spent = time.process_time()
    time.sleep(20)
    print((time.process_time() - spent) / 20 * 1e6)
    beside.stop()
"""


def tick_microseconds(which: str) -> float:
    """CPU time of one tick at 1 Hz, all of it: the process sleeps, but for waking up and what `which` does then.

    A processor that has done other things for a second has nothing at hand: this is several times what the same
    functions take one after the other.
    """
    done = subprocess.run([sys.executable, "-c", TICKS, which], capture_output=True, text=True, check=True)
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


def make_model() -> tuple[Any, Any, Any]:
    """A training whose steps do almost nothing: what is beside them weighs as much as it can."""
    import keras
    import numpy as np

    model = keras.Sequential([keras.layers.Input((16,)), keras.layers.Dense(8), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    rng = np.random.default_rng(0)
    rows = STEPS * BATCH_SIZE
    x, y = rng.normal(size=(rows, 16)).astype("float32"), rng.normal(size=(rows, 1)).astype("float32")
    model.fit(x[: 64 * BATCH_SIZE], y[: 64 * BATCH_SIZE], batch_size=BATCH_SIZE, verbose=0, shuffle=False)
    return model, x, y


@contextlib.contextmanager
def nothing() -> Iterator[list[threading.Thread]]:
    yield []


@contextlib.contextmanager
def sampled(hertz: float, *, guarded: bool = False) -> Iterator[list[threading.Thread]]:
    """As beside a training: yields the threads that measure."""
    with tempfile.TemporaryDirectory() as folder:
        recorder = TelemetryRecorder(folder, rate_hertz=hertz)
        guard = MemoryGuard(print)
        recorder.start()
        if guarded:
            guard.start()
        while not recorder.latest:  # the first sample looks at much that is looked at once a minute
            time.sleep(0.001)
        yield [each._thread for each in (recorder._thread, guard._thread) if each._thread is not None]
        guard.stop()
        recorder.stop()


BESIDE: dict[str, Callable[[], contextlib.AbstractContextManager[list[threading.Thread]]]] = {
    "nothing": nothing,
    "nothing again (A/A)": nothing,
    "sampling, 1 Hz": lambda: sampled(1),
    "sampling, 10 Hz": lambda: sampled(10),
    "sampling, 50 Hz": lambda: sampled(50),
    "sampling, 1 Hz, and the guard (the default)": lambda: sampled(1, guarded=True),
}


def training_rounds() -> dict[str, list[tuple[float, float, float]]]:
    """By what runs beside it, in each round: seconds, CPU seconds of the process, CPU seconds of what is beside."""
    model, x, y = make_model()
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in BESIDE}
    names = list(BESIDE)
    for number in range(ROUNDS):
        order = names[number % len(names) :] + names[: number % len(names)]  # nobody is always behind the same one
        for name in order:
            with BESIDE[name]() as threads:
                clocks = [time.pthread_getcpuclockid(thread.ident) for thread in threads if thread.ident]
                begin = [time.perf_counter(), time.process_time(), sum(map(time.clock_gettime, clocks))]
                model.fit(x, y, batch_size=BATCH_SIZE, epochs=1, verbose=0, shuffle=False)
                end = [time.perf_counter(), time.process_time(), sum(map(time.clock_gettime, clocks))]
            wall, cpu, beside = (after - before for before, after in zip(begin, end, strict=True))
            found[name].append((wall, cpu, beside))
    return found


def print_trainings() -> None:
    found = training_rounds()
    walls, cpus = ({name: [each[place] for each in found[name]] for name in found} for place in (0, 1))
    rows = [
        (
            name,
            spread(walls[name], " s"),
            spread(ratios(walls[name], walls["nothing"]), "x", 4),
            spread(ratios(cpus[name], cpus["nothing"]), "x", 4),
            spread([beside / wall * 100 for wall, _, beside in found[name]], " %") if found[name][0][2] else "",
        )
        for name in found
    ]
    title = f"A training of {STEPS} tiny steps, median (least to most) of {ROUNDS} rounds in turn"
    heads = ("beside it", "time", "time, ratio", "CPU time, ratio", "its threads: share of a core")
    print_table(title, heads, rows)


def hook_microseconds(**arguments: Any) -> list[float]:
    """The step hook in the middle of a training, with everything running that runs then; once per epoch."""
    import keras

    import archiver

    model, x, y = make_model()
    found: list[float] = []

    def measure(*_: Any) -> None:
        logs = {"loss": 0.5}
        start = time.thread_time()
        for step in range(HOOKS):
            archive.on_train_batch_end(step, logs)
        found.append((time.thread_time() - start) / HOOKS * 1e6)

    with tempfile.TemporaryDirectory() as folder:
        archive = archiver.RunArchiver(Path(folder), name="a", figures=False, **arguments)
        hook = keras.callbacks.LambdaCallback(on_epoch_begin=measure)
        model.fit(x[:8], y[:8], epochs=ROUNDS, verbose=0, callbacks=[archive, hook])
    return found


def print_hooks() -> None:
    from archiver import CoolingPolicy

    rows = [
        ("without sampling and guard", spread(hook_microseconds(sampling_hertz=0, memory_limit=None), " us")),
        ("the default: 1 Hz, guard (target 3 us)", spread(hook_microseconds(), " us")),
        ("50 Hz, guard", spread(hook_microseconds(sampling_hertz=50), " us")),
        ("the default with cooling", spread(hook_microseconds(cooling=CoolingPolicy()), " us")),
    ]
    print_table("CPU time of the step hook, inside a training", ("callback", "time per step"), rows)


def main() -> None:
    print_machine()
    print(f"Load: {', '.join(f'{each:.1f}' for each in os.getloadavg())} on {os.cpu_count()} cores")
    workers = [subprocess.Popen(["sleep", "600"]) for _ in range(CHILDREN)]
    found = interleaved(measures(), ROUNDS)
    for worker in workers:
        worker.kill()
        worker.wait()
    for measure, own, other in (("sample", SAMPLE, SAMPLE_OF_PSUTIL), ("sample_with_tree", TREE, TREE_OF_PSUTIL)):
        figure(measure, "archiver", found[own], "us")
        figure(measure, "psutil", found[other], "us")
    note_versions({"psutil": psutil.__version__})
    title = f"CPU time of one sample, median (least to most) of {ROUNDS} rounds in turn; {CHILDREN} processes below"
    print_table(title, ("what", "time"), [(name, spread(values, " us")) for name, values in found.items()])
    names = ("archiver", "psutil")
    ticks = interleaved({name: partial(tick_microseconds, name) for name in names}, min(3, ROUNDS))
    for name, values in ticks.items():
        figure("sampling_share", name, [tick / 1e4 for tick in values], "%")
    thinnings = [thinning_milliseconds() for _ in range(3)]
    rows = [
        ("CPU time of one tick of the recorder", spread(ticks["archiver"], " us")),
        ("so at 1 Hz, share of a core (target 0.05 %)", spread([tick / 1e4 for tick in ticks["archiver"]], " %")),
        ("psutil in its place, which writes nothing and sums up nothing", spread(ticks["psutil"], " us")),
        ("thinning a full trace, once in some hours at 1 Hz", spread(thinnings, " ms")),
    ]
    print_table("Everything: waking up, sampling, writing the traces, summing up", ("what", "cost"), rows)
    print_trainings()
    print_hooks()
    print(f"Load: {', '.join(f'{each:.1f}' for each in os.getloadavg())}")


if __name__ == "__main__":
    main()

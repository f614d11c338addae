"""Peaks of memory that last 5 ms, and a training that runs out of memory: who notices, and how late.

    python -m benchmarks.memory_watch [--spikes 20] [--rounds 3]

The peaks are seen, or not, by archiver's sampler of the process at 1 Hz, and by resident memory read with psutil at 1
and at 50 Hz, all in one process at the same time. The training keeps 16 MiB more after every step; its memory is
limited to what it has and 512 MiB, by archiver's guard, and by a thread that looks once a second and then sets Keras'
`stop_training`. Its most is looked at 200 times a second, until `fit` returns: what archiver does then counts.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import figure, print_machine, print_note, print_table, spread

MIB = 1 << 20
SPIKE_SECONDS = 0.005
APART_SECONDS = 2.1
"""So that one of two samples at 1 Hz has a spike, and the other none."""
ROOM_BYTES = 512 * MIB
LEAK_BYTES = 16 * MIB
BLIND_BYTES = 3 << 30
"""Where the leak ends when nobody has stopped it."""
STEP_SECONDS = 0.002

Reader = Callable[[], float]


class Watcher:
    """Reads something again and again; knows the most of it since it was asked last."""

    def __init__(self, read: Reader, hertz: float) -> None:
        self._read, self._seconds = read, 1 / hertz
        self._most = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(self._seconds):
            self._most = max(self._most, self._read())

    def take(self) -> float:
        """The most, which is forgotten."""
        most, self._most = self._most, 0.0
        return most

    def stop(self) -> None:
        """No more readings."""
        self._over.set()
        self._thread.join()


def compare_spikes(count: int) -> None:
    import psutil

    from archiver.sampling.peaks import why_inexact
    from archiver.sampling.process import ProcessSampler

    if why_inexact():
        print_note(f"peaks cannot be measured here: {why_inexact()}")
        return
    sampler, process = ProcessSampler(), psutil.Process()
    np.ones(256 * MIB, np.uint8)
    watchers = {
        "archiver": Watcher(lambda: float(sampler.sample().peak_rss_bytes or 0), 1),
        "psutil, 1 Hz": Watcher(lambda: float(process.memory_info().rss), 1),
        "psutil, 50 Hz": Watcher(lambda: float(process.memory_info().rss), 50),
    }
    chance = random.Random(7)
    errors: dict[str, list[float]] = {name: [] for name in watchers}
    for _ in range(count):
        time.sleep(APART_SECONDS / 2)
        for watcher in watchers.values():
            watcher.take()
        time.sleep(chance.random() * 0.5)
        size, before = chance.randrange(64, 256) * MIB, process.memory_info().rss
        spike = np.ones(size, np.uint8)
        time.sleep(SPIKE_SECONDS)
        del spike
        time.sleep(APART_SECONDS / 2)
        for name, watcher in watchers.items():
            errors[name].append((before + size - watcher.take()) / 1e6)
    for watcher in watchers.values():
        watcher.stop()
    rows = []
    for name, missed in errors.items():
        caught = [abs(each) for each in missed if abs(each) < 10]
        figure("peaks_caught", name, 100 * len(caught) / count, "%")
        if caught:
            figure("peak_error", name, max(caught), "MB")
        rows.append((name, f"{len(caught)} of {count}", f"{max(caught):.2f} MB" if caught else ""))
    print_table(f"{count} peaks of {SPIKE_SECONDS * 1e3:.0f} ms, 67 to 268 MB", ("by", "caught", "largest error"), rows)


# -- a training that leaks, in a process of its own


def leak(guard: str, folder: str) -> dict[str, float]:
    """Train until somebody stops it: bytes past the limit at the most, and steps trained."""
    import keras

    import archiver
    from archiver.sampling.memory_sources import ProcessMemory

    memory, kept = ProcessMemory(), list[Any]()
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.zeros((4096, 16), "float32"), np.zeros((4096, 1), "float32")
    model.fit(x[:64], y[:64], verbose=0)

    class Leak(keras.callbacks.Callback):
        """Memory that is never given back."""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras' signature
            """16 MiB more."""
            kept.append(np.ones(LEAK_BYTES, np.uint8))
            if len(kept) * LEAK_BYTES > BLIND_BYTES:
                self.model.stop_training = True
            time.sleep(STEP_SECONDS)

    watcher = Watcher(lambda: float(memory.anonymous_bytes()), 200)
    limit = memory.anonymous_bytes() + ROOM_BYTES
    if guard == "archiver":
        callbacks = [Leak(), archiver.RunArchiver(folder, name="run", memory_limit=limit, figures=False)]
    else:

        def look() -> float:
            used = float(memory.anonymous_bytes())
            model.stop_training |= used > limit
            return used

        Watcher(look, 1)
        callbacks = [Leak()]
    model.fit(x, y, batch_size=4, epochs=1, verbose=0, callbacks=callbacks)
    return {"over_bytes": watcher.take() - limit, "steps": len(kept)}


def leaked(guard: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.memory_watch", "--leak", guard, "--folder", folder]
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def compare_guards(rounds: int) -> None:
    rows = []
    for guard, name in (("archiver", "archiver"), ("polling", "a look once a second")):
        found = [leaked(guard) for _ in range(rounds)]
        over = [max(0.0, each["over_bytes"] - LEAK_BYTES) / 1e6 for each in found]
        figure("guard_overshoot", name, over, "MB")
        rows.append((name, spread(over, " MB"), spread([each["steps"] for each in found])))
    title = f"A training that leaks {LEAK_BYTES // MIB} MiB a step, at a limit of {ROOM_BYTES // MIB} MiB more"
    print_table(title, ("guard", "past the limit, beyond a step's", "steps trained"), rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--spikes", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--leak", choices=["archiver", "polling"])
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.leak:
        print(json.dumps(leak(arguments.leak, str(arguments.folder))))
        return
    print_machine()
    compare_spikes(arguments.spikes)
    compare_guards(arguments.rounds)


if __name__ == "__main__":
    main()

"""What a snapshot costs: the time that training waits for it, the time until it is written, and memory.

Models of one hidden layer, Adam, so that a snapshot holds three times the size of the weights. Beside it a plain numpy
copy of the same variables, which is the least that a copy can cost, and Keras' own callbacks; `OrbaxCheckpoint` where
orbax-checkpoint is installed (`pip install orbax-checkpoint`). In turn, medians; each size in a process of its own.

python -m benchmarks.snapshots
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import print_machine, print_table

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SIZES_MEGABYTES = (10, 100, 300)
ROUNDS = int(os.environ.get("ROUNDS", "5"))
Waits = tuple[Callable[[], None], Callable[[], None]]
"""What the training waits for, and what waits until all is written."""


class Host:
    """What snapshots need of a session."""

    phase = 0
    epochs_done = 0

    def attempt(self, step: str, function: Callable[[], Any]) -> Any:  # noqa: ARG002
        """Run it; nothing may fail here."""
        return function()

    def note_failure(self, step: str, error: BaseException) -> None:  # noqa: ARG002
        """Nothing may fail here."""
        raise error

    def snapshot_written(self) -> None:
        """Nothing is sent anywhere."""


def _nothing() -> None:
    """Nothing is left to wait for."""


def _numpy_copy(model: Any) -> Waits:
    import numpy as np

    def copy() -> None:
        variables = (*model.variables, *model.optimizer.variables)
        assert len([np.array(each.value.numpy(), copy=True) for each in variables]) > 2

    return copy, _nothing


def _archiver(model: Any, folder: Path) -> Waits:
    from archiver.archive.claiming import claim
    from archiver.naming import run_name
    from archiver.training.capture import capture
    from archiver.training.snapshots import Snapshots

    run, _ = claim(folder, run_name("model"), "version")
    snapshots = Snapshots(run, "epoch", Host())
    snapshots.begin_phase(capture(model), [])

    def take() -> None:
        snapshots.begin_epoch(0)
        snapshots.end_epoch(model, 0)

    return take, snapshots.wait


def _keras(callback: Any, model: Any) -> Waits:
    callback.set_model(model)
    epochs = iter(range(1_000_000))

    def wait() -> None:
        for future in getattr(callback, "_async_futures", []):
            future.result()

    return lambda: callback.on_epoch_end(next(epochs), {"loss": 1.0}), wait


def measure(megabytes: int, folder: Path) -> dict[str, dict[str, list[float]]]:
    """By method: seconds that training waits, seconds until written, and bytes of memory at the peak."""
    import keras
    import numpy as np

    units = round(megabytes * 1e6 / 4 / 1024)
    model = keras.Sequential([keras.Input((1023,)), keras.layers.Dense(units), keras.layers.Dense(1, use_bias=False)])
    model.compile("adam", "mse")
    found: dict[str, dict[str, list[float]]] = {}

    class Compare(keras.callbacks.Callback):
        """In the place where a callback saves."""

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
            methods = {
                "a numpy copy": _numpy_copy(model),
                "archiver": _archiver(model, folder),
                "BackupAndRestore": _keras(keras.callbacks.BackupAndRestore(folder / "backup"), model),
            }
            if importlib.util.find_spec("orbax"):
                methods["OrbaxCheckpoint"] = _keras(keras.callbacks.OrbaxCheckpoint(str(folder / "orbax")), model)
            for _ in range(ROUNDS):
                for name, (take, wait) in methods.items():
                    for key, value in _one(take, wait).items():
                        found.setdefault(name, {}).setdefault(key, []).append(value)

    model.fit(np.zeros((8, 1023), "float32"), np.zeros((8, 1), "float32"), verbose=0, callbacks=[Compare()])
    return found


def _one(take: Callable[[], None], wait: Callable[[], None]) -> dict[str, float]:
    from archiver.sampling.cleaning import trim_heap
    from archiver.sampling.memory_sources import ProcessMemory
    from archiver.sampling.peaks import PeakMeter

    gc.collect()
    trim_heap()
    meter, before = PeakMeter(), ProcessMemory().rss_bytes()
    began = time.perf_counter()
    take()
    waited = time.perf_counter() - began
    wait()
    written = time.perf_counter() - began
    return {"waited": waited, "written": written, "memory": float(meter.take() - before)}


def main() -> None:
    """Print the table."""
    print_machine()
    rows = []
    for size in SIZES_MEGABYTES:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benchmarks.snapshots", str(size), folder]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found = json.loads(output.splitlines()[-1])
        least = statistics.median(found["a numpy copy"]["waited"])
        for name, values in found.items():
            waited, written, memory = (statistics.median(values[key]) for key in ("waited", "written", "memory"))
            rows.append([
                f"{size} MB", name, f"{waited * 1e3:.1f}", f"{waited / least:.1f}", f"{written * 1e3:.0f}",
                f"{memory / 1e6:.0f}",
            ])  # fmt: skip
    columns = ("weights", "method", "training waits, ms", "over a copy", "until written, ms", "memory, MB")
    print_table("A snapshot of weights and Adam's two moments", columns, rows)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]), Path(sys.argv[2]))))
    else:
        main()

"""A training that one peer logs, in a process and an environment of its own; what it cost is written as JSON.

    PYTHON benchmarks/peers/start.py ADAPTER FOLDER --measure EPOCHS STEPS
    PYTHON benchmarks/peers/start.py ADAPTER FOLDER --until-killed
    PYTHON benchmarks/peers/start.py ADAPTER FOLDER --kept

`benchmarks/peers/__main__.py` starts it; nothing but Keras, NumPy and the peer is imported here. An adapter is a module
of `adapters/`: `load()` imports the peer as a script would; `train(folder, fit)` calls `fit` with callbacks. Some have
more: `kept_steps(folder)`, the number of steps whose loss is found after a kill; `last_sample(folder)`, when the last
telemetry was written; `not_counted(folder)`, the seconds at the end that are saving and hashing.
"""

from __future__ import annotations

import importlib
import json
import os
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

STEP_SECONDS = 0.02
KILLED_EPOCH_STEPS = 50
HOOKS = {
    "step": (("on_train_batch_begin", "on_batch_begin"), ("on_train_batch_end", "on_batch_end")),
    "epoch": (("on_epoch_begin",), ("on_epoch_end",)),
}
"""The first one of each that a callback has is what Keras calls, or what is called by what Keras calls."""
Callbacks = list[Any]
Fit = Callable[[Callbacks], None]

spent = {"step": 0.0, "epoch": 0.0}
calls = {"step": 0, "epoch": 0}
marks: dict[str, float] = {}
found: dict[str, Any] = {}
clock = time.perf_counter


def make_model() -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Input((16,)), keras.layers.Dense(8), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    return model


def data(steps: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(steps * 4, 16)).astype("float32"), rng.normal(size=(steps * 4, 1)).astype("float32")


def resident_mib(pid: int | str = "self") -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return 0.0


def descendants(pid: int) -> list[int]:
    below = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            children = [int(each) for each in (task / "children").read_text().split()]
        except OSError:
            continue
        below += [*children, *(each for child in children for each in descendants(child))]
    return below


# -- hooks are timed where Keras calls them


def timed(function: Callable[..., Any], key: str, clock: Callable[[], float]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        began = clock()
        try:
            return function(*args, **kwargs)
        finally:
            spent[key] += clock() - began
            calls[key] += 1

    return call


def time_hooks(callback_list: Any) -> None:
    """Of all callbacks but Keras' history and our own; a callback may have brought others.

    Where Keras ends steps on a thread of its own, the training does not wait: there, processor time counts.
    """
    is_beside = callback_list._async_train
    for callback in callback_list.callbacks:
        if isinstance(callback, (keras.callbacks.History, Clock)):
            continue
        for key, names in ((key, names) for key, hooks in HOOKS.items() for names in hooks):
            hook = next((each for each in names if not keras.src.utils.is_default(getattr(callback, each))), None)
            if hook is not None:
                own = time.thread_time if is_beside and hook == "on_train_batch_end" else clock
                setattr(callback, hook, timed(getattr(callback, hook), key, own))


class Clock(keras.callbacks.Callback):
    """Notes when epochs begin and end, and how much memory there was; the hooks of the first epoch are not counted."""

    async_safe = True

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.epochs: list[float] = []
        self.peak_mib = self.helpers_mib = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """The first epoch with the peer: hooks are there, and found."""
        if epoch == 1:
            spent.update(step=0.0, epoch=0.0)
            calls.update(step=0, epoch=0)
        self.epochs.append(clock())
        marks.setdefault(f"{self.name} begins", self.epochs[0])

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Memory is looked at between two epochs."""
        self.peak_mib = max(self.peak_mib, resident_mib())

    def epoch_seconds(self) -> float:
        """Of an epoch with all that is between two of them, the first one left out."""
        return (self.epochs[-1] - self.epochs[1]) / (len(self.epochs) - 2)


def watch_list() -> None:
    """When `fit` is about to end, and which callbacks there are once all have seen it begin."""
    kind = keras.callbacks.CallbackList
    begin, end = kind.on_train_begin, kind.on_train_end

    def on_train_begin(self: Any, logs: Any = None) -> None:
        begin(self, logs)
        time_hooks(self)

    def on_train_end(self: Any, logs: Any = None) -> None:
        marks["training is over"] = clock()
        end(self, logs)

    kind.on_train_begin, kind.on_train_end = on_train_begin, on_train_end


def measure(adapter: Any, folder: Path, epochs: int, steps: int) -> None:
    began = clock()
    adapter.load()
    import_seconds = clock() - began  # Keras is there already; so is what the operating system has read of the files
    model, (x, y) = make_model(), data(steps)
    alone, beside = Clock("alone"), Clock("with the peer")
    model.fit(x, y, batch_size=4, epochs=6, verbose=0, shuffle=False, callbacks=[alone])
    watch_list()

    def fit(callbacks: Callbacks) -> None:
        model.fit(x, y, batch_size=4, epochs=epochs, verbose=0, shuffle=False, callbacks=[*callbacks, beside])
        beside.helpers_mib = sum(map(resident_mib, descendants(os.getpid())))

    called = clock()
    adapter.train(folder, fit)
    marks["returned"] = clock()
    found.update(
        import_seconds=import_seconds,
        start_seconds=marks["with the peer begins"] - called,
        step_microseconds=spent["step"] / ((epochs - 1) * steps) * 1e6,
        step_calls=calls["step"] / ((epochs - 1) * steps),
        epoch_milliseconds=spent["epoch"] / (epochs - 1) * 1e3,
        training_ratio=beside.epoch_seconds() / alone.epoch_seconds(),
        peak_mib=beside.peak_mib,
        helpers_mib=beside.helpers_mib,
    )


def train_until_killed(adapter: Any, folder: Path) -> None:
    """20 ms a step; each step's end is told to the parent as a number of 8 bytes."""
    adapter.load()
    steps = os.open(folder / "steps", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    class Slow(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            os.write(steps, struct.pack("d", time.time()))
            time.sleep(STEP_SECONDS)

    x, y = data(KILLED_EPOCH_STEPS)
    model = make_model()

    def fit(callbacks: Callbacks) -> None:
        model.fit(x, y, batch_size=4, epochs=100_000, verbose=0, shuffle=False, callbacks=[*callbacks, Slow()])

    adapter.train(folder, fit)


def memory_before() -> None:
    """What the process takes with Keras and a trained model, before the peer is imported."""
    model, (x, y) = make_model(), data(20)
    model.fit(x, y, batch_size=4, epochs=2, verbose=0, shuffle=False)
    found["before_mib"] = resident_mib()


def finish() -> None:
    """Called when all that a peer does at exit is done."""
    ended = clock()
    if "returned" not in marks:
        return  # it failed, or was not to be measured
    adapter, folder = sys.modules[f"adapters.{sys.argv[1]}"], Path(sys.argv[2])
    not_counted = adapter.not_counted(folder) if hasattr(adapter, "not_counted") else 0.0
    found.update(
        end_seconds=ended - marks["training is over"],
        return_seconds=marks["returned"] - marks["training is over"],
        not_counted_seconds=not_counted,
    )
    (folder / "measured.json").write_text(json.dumps(found))


def main() -> None:
    name, folder, mode, *numbers = sys.argv[1:]
    adapter = importlib.import_module(f"adapters.{name}")
    if mode == "--measure":
        memory_before()
        measure(adapter, Path(folder), *map(int, numbers))
    elif mode == "--until-killed":
        train_until_killed(adapter, Path(folder))
    else:
        kept = {"steps": adapter.kept_steps(Path(folder)), "last_sample": None}
        if hasattr(adapter, "last_sample"):
            kept["last_sample"] = adapter.last_sample(Path(folder))
        (Path(folder) / "kept.json").write_text(json.dumps(kept))

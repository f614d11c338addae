"""What the callback costs: per step, per epoch, at the beginning and end of a run, and in memory.

    python -m benchmarks.overhead

Beside it Keras' own callbacks, no callback, and no callback again (A/A: the noise of the comparison).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import archiver
from archiver.storage.digests import ALGORITHMS
from archiver.storage.hashing import hash_files, regular_files
from archiver.training.background import Task
from archiver.training.session import Session
from benchmarks.common import interleaved, print_machine, print_table, ratios, spread
from examples.digits_cnn import load
from examples.digits_cnn import make_model as demo_model

ROUNDS = int(os.environ.get("ROUNDS", "9"))
STEPS = 1000
EPOCHS = 40
BESIDE_SECONDS = 4


def make_model(width: int = 8) -> keras.Model:
    model = keras.Sequential([keras.layers.Input((16,)), keras.layers.Dense(width), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    return model


def data(steps: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(steps * 4, 16)).astype("float32"), rng.normal(size=(steps * 4, 1)).astype("float32")


class Empty(keras.callbacks.Callback):
    """A step hook that does nothing: what Keras itself spends on calling one."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Nothing."""


def callbacks(folder: Path) -> dict[str, Callable[[], list[Any]]]:
    return {
        "no callback": list,
        "no callback again (A/A)": list,
        "an empty step hook": lambda: [Empty()],
        "keras CSVLogger": lambda: [keras.callbacks.CSVLogger(folder / "log.csv")],
        "keras ModelCheckpoint (weights, best)": lambda: [
            keras.callbacks.ModelCheckpoint(
                folder / "best.weights.h5", monitor="loss", save_best_only=True, save_weights_only=True
            )
        ],
        "keras BackupAndRestore": lambda: [keras.callbacks.BackupAndRestore(folder / "backup")],
        "archiver (monitor=None)": lambda: [archiver.RunArchiver(folder / "runs", name="a", monitor=None)],
        "archiver": lambda: [archiver.RunArchiver(folder / "runs", name="b")],
    }


def timed(callback: Any, hooks: tuple[str, ...]) -> Callable[[], float]:
    """Wrap hooks of one callback; the returned function tells the seconds spent in them so far."""
    total = [0.0]

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                total[0] += time.perf_counter() - start

        return call

    for hook in hooks:
        setattr(callback, hook, wrap(getattr(callback, hook)))
    return lambda: total[0]


def fit_seconds(make: Callable[[], list[Any]], steps: int, epochs: int) -> float:
    """Seconds between the first and the last step's end, the first epoch left out."""
    x, y = data(steps)
    marks: list[float] = []
    clock = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: marks.append(time.perf_counter()))
    keras.utils.set_random_seed(0)
    make_model().fit(x, y, batch_size=4, epochs=epochs, verbose=0, shuffle=False, callbacks=[*make(), clock])
    return (marks[-1] - marks[1]) / (len(marks) - 2)


def step_hook_microseconds() -> list[float]:
    """The step hook alone, called as Keras calls it."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        archive = archiver.RunArchiver(folder, name="a", monitor=None)
        make_model().fit(*data(2), epochs=1, verbose=0, callbacks=[archive])
        assert archive._session is not None
        archive._session.trace.begin_epoch(0, 0)
        logs = {"loss": 0.5}
        for _ in range(ROUNDS):
            start = time.perf_counter()
            for step in range(100_000):
                archive.on_train_batch_end(step, logs)
            found.append((time.perf_counter() - start) / 100_000 * 1e6)
    return found


def epoch_hook_milliseconds() -> dict[str, list[float]]:
    """The hooks of an epoch, timed inside a real training, per epoch."""
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            for name, make in callbacks(Path(folder)).items():
                made = make()
                if not made or isinstance(made[0], Empty):
                    continue
                hooks = (
                    ("on_epoch_begin", "end_epoch")
                    if name.startswith("archiver")
                    else ("on_epoch_begin", "on_epoch_end")
                )
                spent = timed(made[0], hooks)
                make_model().fit(*data(2), batch_size=4, epochs=EPOCHS, verbose=0, callbacks=made)
                found.setdefault(name, []).append(spent() / EPOCHS * 1000)
    return found


def ends_milliseconds(model: keras.Model, steps: int) -> list[tuple[str, float]]:
    """Where the time before the first step and after the last one goes, once, without figures.

    The epochs last until what is found out beside the training is there, so that its end does not wait for that.
    """
    slow = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: time.sleep(BESIDE_SECONDS))
    with tempfile.TemporaryDirectory() as folder:
        archive = archiver.RunArchiver(folder, name="a", monitor=None, figures=False)
        begin = timed(archive, ("on_train_begin",))
        end = timed(archive, ("end_training",))
        x = np.zeros((steps, *model.input_shape[1:]), "float32")
        y = np.zeros((steps, *model.output_shape[1:]), "float32")
        model.fit(x, y, epochs=2, verbose=0, callbacks=[archive, slow])
        path = archive.run.path
        sizes = regular_files(path)
        start = time.perf_counter()
        hash_files(path, sizes, ALGORITHMS)
        hashing = time.perf_counter() - start
        events = {event.event: event.details for event in archive.run.journal.read().events}
        saving = events["models_saved"]["seconds"]
    return [
        (f"archive of {sum(sizes.values()) / 1e6:.0f} MB: before the first step", begin() * 1000),
        ("end of run, all", end() * 1000),
        ("  of which saving, reading back and digesting the weights, checkpoint", saving * 1000),
        ("  of which hashing the files (measured again, alone)", hashing * 1000),
        ("  the rest (target 100 ms)", (end() - saving - hashing) * 1000),
    ]


def steps_milliseconds(model: keras.Model, x: np.ndarray, y: np.ndarray) -> list[tuple[str, float, float, float]]:
    """Every step of archiving: milliseconds before the first step, beside the training, and at the end."""
    spent: dict[str, list[float]] = {}
    place = [0]

    def timed_attempt(session: Session, step: str, function: Callable[[], Any], file: Any = None) -> Any:
        start = time.perf_counter()
        result = attempt(session, step, function, file)
        spent.setdefault(step, [0.0, 0.0, 0.0])[place[0]] += time.perf_counter() - start
        return result

    def timed_run(task: Task) -> None:
        name, start = task_name(task), time.perf_counter()
        run_task(task)
        spent.setdefault(name, [0.0, 0.0, 0.0])[1] += time.perf_counter() - start

    def task_name(task: Task) -> str:
        return f"background: {getattr(task._find, '__qualname__', 'task').split('.<locals>')[0].lstrip('_')}"

    attempt, run_task = Session.attempt, Task.run
    Session.attempt, Task.run = timed_attempt, timed_run  # type: ignore[method-assign, assignment]
    try:
        with tempfile.TemporaryDirectory() as folder:
            archive = archiver.RunArchiver(folder, name="a")
            marks = keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda *_: place.__setitem__(0, 1), on_train_end=lambda *_: place.__setitem__(0, 2)
            )
            half = len(x) // 2
            model.fit(x[:half], y[:half], epochs=3, verbose=0, callbacks=[archive, marks])
            archive.finalize(test_data=(x[half:], y[half:]))
    finally:
        Session.attempt, Task.run = attempt, run_task  # type: ignore[method-assign]
    return [(step, before * 1e3, beside * 1e3, after * 1e3) for step, (before, beside, after) in spent.items()]


def noise(model: keras.Model, samples: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = ((samples, *model.input_shape[1:]), (samples, *model.output_shape[1:]))
    x, y = (rng.normal(size=shape).astype("float32") for shape in shapes)
    return x, y


def print_steps(model: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
    rows = [
        (step, *(f"{value:.1f}" if value >= 0.05 else "" for value in values))
        for step, *values in sorted(steps_milliseconds(model, x, y), key=lambda row: -max(row[1:]))
        if max(values) >= 0.05
    ]
    title = f"Where the milliseconds go, {model.count_params():,} parameters, 3 epochs and finalize(test_data=...)"
    print_table(title, ("step of archiving", "before the first step", "during the training", "after it"), rows)


MEMORY = """
import sys, numpy as np, psutil, keras, tempfile
process = psutil.Process()
model = keras.Sequential([keras.layers.Input((16,)), keras.layers.Dense(8), keras.layers.Dense(1)])
model.compile("sgd", loss="mse")
x = np.zeros((512, 16), "float32"); y = np.zeros((512, 1), "float32")
model.fit(x, y, epochs=2, verbose=0)
before = process.memory_info().rss
peak = []
watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: peak.append(process.memory_info().rss))
with tempfile.TemporaryDirectory() as folder:
    callbacks = [watch]
    if sys.argv[1] != "nothing":
        import archiver
        archiver.RunArchiver
    if sys.argv[1] == "archiver":
        callbacks.append(archiver.RunArchiver(folder, name="a", monitor=None))
    model.fit(x, y, epochs=5, verbose=0, callbacks=callbacks)
print((max(peak) - before) / 2**20)
"""


def memory_mib(which: str) -> float:
    result = subprocess.run([sys.executable, "-c", MEMORY, which], capture_output=True, text=True, check=True)
    return float(result.stdout.split()[-1])


def main() -> None:
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        measures = {
            name: lambda make=make: fit_seconds(make, STEPS, 4) / STEPS * 1e6
            for name, make in callbacks(Path(folder)).items()
        }
        found = interleaved(measures, ROUNDS)
    rows: list[tuple[str, ...]] = [
        (name, spread(values, " us", 4), spread(ratios(values, found["no callback"]), "x"))
        for name, values in found.items()
    ]
    title = f"A step of a tiny model, median (least to most) of {ROUNDS} rounds in turn, {STEPS} steps an epoch"
    print_table(title, ("callback", "time per step, epoch hooks included", "ratio to no callback, pair by pair"), rows)

    print_table(
        "The step hook alone (target 3 us)",
        ("hook", "time"),
        [("on_train_batch_end", spread(step_hook_microseconds(), " us"))],
    )
    rows = [(name, spread(values, " ms")) for name, values in epoch_hook_milliseconds().items()]
    print_table("Hooks of an epoch (target 0.5 ms without a snapshot)", ("callback", "time per epoch"), rows)

    layers = [keras.layers.Input((1000,)), keras.layers.Dense(8000), keras.layers.Dense(8000), keras.layers.Dense(10)]
    large = keras.Sequential(layers)
    large.compile("sgd", loss="mse")
    for what, model in (("the first `fit`", make_model()), ("the second", make_model()), ("the third", large)):
        rows = [(name, f"{value:.0f} ms") for name, value in ends_milliseconds(model, 64)]
        title = f"Begin and end of {what} of a process, {model.count_params():,} parameters, without figures"
        print_table(title, ("part", "time"), rows)
    demo = load(0)["train"]
    print_steps(demo_model(), *demo)
    print_steps(large, *noise(large, 128))

    names = ("nothing", "imported", "archiver")
    found = interleaved({name: partial(memory_mib, name) for name in names}, 3)
    rows = [(name, spread(values, " MiB")) for name, values in found.items()]
    print_table("Memory a training process gains with the callback (target 25 MiB)", ("callback", "resident"), rows)


if __name__ == "__main__":
    main()

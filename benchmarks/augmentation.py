"""Online augmentation against copies of the data set that are changed beforehand: memory, and time of training.

python -m benchmarks.augmentation [--windows 4000] [--rounds 3]

The usual way makes three changed copies and trains an epoch on the original and these; online, four epochs see as many
windows, each time changed anew, read from a window file. Each way is a process of its own. Memory is anonymous memory
beyond what the process had with the model and without data.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from archiver.data import (
    ArrayWindows,
    Augmentation,
    ChannelDropout,
    ChannelMask,
    GaussianNoise,
    Mixing,
    Operation,
    Scaling,
    TimeMask,
    TimeShift,
    WindowFile,
    array_batches,
    window_batches,
    write_window_file,
)
from benchmarks.common import interleaved, print_machine, print_note, print_table, ratios, seconds, spread
from benchmarks.feeding import BATCH, SCALE, SHAPE, Memory, eeg_like, make_model

COPIES = 4
COPIES_IN_FIT, COPIES_IN_BATCHES, ONLINE, WITHOUT = WAYS = (
    "copies, fit(x, y)", "copies, array_batches", "online, from disk", "no augmentation, from disk"
)  # fmt: skip


def operations() -> list[Operation]:
    """What both ways do."""
    return [
        TimeShift(10), Scaling(0.9, 1.1), GaussianNoise(0.5), TimeMask(20, probability=0.5),
        ChannelDropout(0.1, probability=0.5),
    ]  # fmt: skip


def copied(file: WindowFile, augment: Augmentation) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The windows, and three changed copies of each, in memory."""
    x = file.read(np.arange(file.shape[0]))
    changed = [augment.apply(x, np.arange(len(x)), epoch) for epoch in range(COPIES - 1)]
    return np.concatenate([x, *changed]), np.tile(file.labels, COPIES)  # type: ignore[arg-type]


def passes(way: str, file: WindowFile, model: Any) -> Callable[[], None]:
    """What trains on as many windows as all copies have."""
    augment = Augmentation(operations(), seed=1)
    if way in (COPIES_IN_FIT, COPIES_IN_BATCHES):
        x, y = copied(file, augment)
        if way == COPIES_IN_FIT:
            return lambda: model.fit(x, y, batch_size=BATCH, verbose=0)
        in_memory = array_batches(x, y, batch_size=BATCH, seed=1)
        return lambda: model.fit(in_memory, verbose=0)
    batches = window_batches(file, batch_size=BATCH, seed=1, augment=augment if way == ONLINE else None)
    return lambda: model.fit(batches, epochs=COPIES, shuffle=False, verbose=0)


def built_model(size: str) -> Any:
    model = make_model(size)
    model.train_on_batch(np.zeros((BATCH, *SHAPE), "float32"), np.zeros(BATCH, "float32"))
    return model


def measure_memory(way: str, folder: Path, size: str) -> None:
    """Train, and print what was measured as JSON."""
    model = built_model(size)
    memory = Memory()
    passes(way, WindowFile(folder / "windows"), model)()
    print(json.dumps({"added": memory.peak_bytes - memory.begin_bytes, "whole": memory.peak_bytes}))


def measured_memory(way: str, folder: Path, size: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.augmentation", "--way", way, "--folder", str(folder), "--model", size]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(ended.stdout.strip().splitlines()[-1])
    return found


def compare(folder: Path, count: int, rounds: int, size: str) -> None:
    values = np.resize(eeg_like(500).astype("float32") * np.float32(SCALE), (count, *SHAPE))
    write_window_file(ArrayWindows(values, (np.arange(count) % 2).astype("float32")), folder / "windows", scale=SCALE)
    data_bytes = values.nbytes
    del values
    memory = {way: measured_memory(way, folder, size) for way in WAYS}
    model, file = built_model(size), WindowFile(folder / "windows")
    found = interleaved({way: functools.partial(seconds, passes(way, file, model)) for way in WAYS}, rounds)
    rows = []
    for way in WAYS:
        times = [each / (count * COPIES) * 1e6 for each in found[way]]
        against = [spread(ratios(found[way], found[other]), "x") for other in (COPIES_IN_FIT, WITHOUT)]
        sizes = [f"{memory[way][which] / 1e6:,.0f} MB" for which in ("added", "whole")]
        rows.append((way, spread(times, " us"), *against, *sizes))
    title = f"{count:,} windows ({data_bytes / 1e6:,.0f} MB), {size} model, median of {rounds} rounds, in turn"
    columns = ("way", "time of a window", "against copies in fit", "against none", "memory added", "of the process")
    print_table(title, columns, rows)
    share = memory[ONLINE]["added"] / memory[COPIES_IN_FIT]["added"]
    print_note(f"memory of the data: {100 * (share - 1):.1f} %")


def compare_operations(rounds: int) -> None:
    windows = eeg_like(256).astype("float32") * np.float32(SCALE)
    numbers = np.arange(len(windows))
    single = {
        type(each).__name__: [each]
        for each in [*operations(), ChannelMask(20), Mixing(windows), TimeMask(20), ChannelDropout(0.1)]
    }
    chains = single | {"all of the training": operations()}

    def apply(augment: Augmentation) -> None:
        for begin in range(0, len(windows), BATCH):
            augment.apply(windows[begin : begin + BATCH], numbers[begin : begin + BATCH], 1)

    measures = {
        name: functools.partial(seconds, functools.partial(apply, Augmentation(each, seed=1)))
        for name, each in chains.items()
    }
    found = interleaved(measures, 3 * rounds)
    rows = [(name, spread([each / len(windows) * 1e6 for each in values], " us")) for name, values in found.items()]
    print_table(f"time of a window of {SHAPE[0]} x {SHAPE[1]}, batches of {BATCH}", ("operation", "a window"), rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--windows", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="middle", choices=["light", "middle", "heavy"])
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.way:
        measure_memory(arguments.way, arguments.folder, arguments.model)
        return
    print_machine()
    compare_operations(arguments.rounds)
    with tempfile.TemporaryDirectory() as text:
        compare(Path(text), arguments.windows, arguments.rounds, arguments.model)


if __name__ == "__main__":
    main()

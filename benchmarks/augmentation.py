"""Online augmentation against copies of the data set that are changed beforehand: memory, and time of training.

python -m benchmarks.augmentation [--windows 4000] [--rounds 3]

The usual way makes three changed copies and trains an epoch on the original and these; online, four epochs see as many
windows, each time changed anew, read from a window file. Each way is a process of its own. Memory is anonymous memory
beyond what the process had with the model and without data.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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
    window_batches,
    write_window_file,
)
from benchmarks.common import interleaved, print_machine, print_table, spread
from benchmarks.feeding import BATCH, SCALE, SHAPE, Memory, eeg_like, make_model

COPIES = 4
EPOCHS = 2
WAYS = ("copies in memory", "online, from disk", "no augmentation, from disk")


def operations() -> list[Operation]:
    """What both ways do."""
    return [
        TimeShift(10), Scaling(0.9, 1.1), GaussianNoise(0.5), TimeMask(20, probability=0.5),
        ChannelDropout(0.1, probability=0.5),
    ]  # fmt: skip


def run_way(way: str, folder: Path, size: str) -> None:
    """Train, and print what was measured as JSON."""
    model = make_model(size)
    model.train_on_batch(np.zeros((BATCH, *SHAPE), "float32"), np.zeros(BATCH, "float32"))
    memory = Memory()
    file = WindowFile(folder / "windows")
    count, augment = file.shape[0], Augmentation(operations(), seed=1)
    began = time.perf_counter()
    if way == WAYS[0]:
        x = file.read(np.arange(count))
        changed = [augment.apply(x, np.arange(count), epoch) for epoch in range(COPIES - 1)]
        x, y = np.concatenate([x, *changed]), np.tile(file.labels, COPIES)  # type: ignore[arg-type]
        del changed
        prepared = time.perf_counter()
        model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    else:
        batches = window_batches(file, batch_size=BATCH, seed=1, augment=augment if way == WAYS[1] else None)
        prepared = time.perf_counter()
        model.fit(batches, epochs=COPIES * EPOCHS, shuffle=False, verbose=0)
    windows, ended = count * COPIES * EPOCHS, time.perf_counter()
    print(json.dumps({
        "microseconds": (ended - prepared) / windows * 1e6, "preparing_seconds": prepared - began,
        "bytes": memory.peak_bytes - memory.begin_bytes, "begin_bytes": memory.begin_bytes,
    }))  # fmt: skip


def measured(way: str, folder: Path, size: str) -> dict[str, float]:
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
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            found[way].append(measured(way, folder, size))
    rows = []
    for way in WAYS:
        times = [each["microseconds"] for each in found[way]]
        added, whole = (statistics.median(values) for values in zip(*[
            (each["bytes"], each["bytes"] + each["begin_bytes"]) for each in found[way]], strict=True))  # fmt: skip
        against = [one["microseconds"] / other["microseconds"] for one, other in
                   zip(found[way], found[WAYS[2]], strict=True)]  # fmt: skip
        rows.append(
            (way, spread(times, " us"), spread(against, "x"), f"{added / 1e6:,.0f} MB", f"{whole / 1e6:,.0f} MB")
        )
    first, online = (statistics.median(each["bytes"] for each in found[way]) for way in WAYS[:2])
    title = f"{count:,} windows ({data_bytes / 1e6:,.0f} MB), {size} model, median of {rounds} rounds, in turn"
    columns = ("way", "time of a window", "against no augmentation", "memory added", "of the process")
    print_table(title, columns, rows)
    print(f"memory of the data: {100 * (online / first - 1):.1f} %")


def compare_operations(rounds: int) -> None:
    windows = eeg_like(256).astype("float32") * np.float32(SCALE)
    numbers = np.arange(len(windows))
    single = {
        type(each).__name__: [each]
        for each in [*operations(), ChannelMask(20), Mixing(windows), TimeMask(20), ChannelDropout(0.1)]
    }
    chains = single | {"all of the training": operations()}

    def seconds(augment: Augmentation) -> float:
        began = time.perf_counter()
        for begin in range(0, len(windows), BATCH):
            augment.apply(windows[begin : begin + BATCH], numbers[begin : begin + BATCH], 1)
        return time.perf_counter() - began

    measures = {name: lambda each=each: seconds(Augmentation(each, seed=1)) for name, each in chains.items()}
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
        run_way(arguments.way, arguments.folder, arguments.model)
        return
    print_machine()
    compare_operations(arguments.rounds)
    with tempfile.TemporaryDirectory() as text:
        compare(Path(text), arguments.windows, arguments.rounds, arguments.model)


if __name__ == "__main__":
    main()

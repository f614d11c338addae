"""`data_statistics` against naive NumPy and a digest, in RAM; and the peak memory of both over a memory map.

The map is several times larger than the memory that one pass may add, which is stated; naive NumPy makes temporaries.

python -m benchmarks.statistics [--megabytes 512] [--map-megabytes 1024] [--limit-megabytes 128]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data import data_statistics
from archiver.storage.digests import hasher
from benchmarks.common import figure, interleaved, print_machine, print_table, ratios, seconds, spread

REPETITIONS = 5
SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

Array = NDArray[Any]


def made(megabytes: int, dtype: str) -> Array:
    """Windows of 64 channels and 512 samples."""
    count = (megabytes << 20) // (64 * 512 * np.dtype(dtype).itemsize)
    one = np.random.default_rng(0).standard_normal((min(count, 64), 64, 512)) * (1 if dtype == "float32" else 1000)
    return np.resize(one.astype(dtype), (count, 64, 512))


def naive(array: Array) -> None:
    """What one writes: a pass for each number, and one for the digest."""
    array.mean(), array.std(), array.min(), array.max(), np.isnan(array).sum(), (array == 0).sum()
    hash_of(array)


def hash_of(array: Array) -> None:
    digest = hasher("blake3")
    digest.update(array.reshape(-1).view(np.uint8).data)
    digest.hexdigest()


def naive_by_channel(array: Array) -> None:
    """The same by channel."""
    for of in (array.mean, array.std, array.min, array.max):
        of(axis=(0, 2))
    np.isnan(array).sum(axis=(0, 2)), (array == 0).sum(axis=(0, 2))
    hash_of(array)


def naive_quantiles(array: Array) -> None:
    """And the quantiles, which copies and partitions."""
    naive(array)
    np.quantile(array, SHARES, method="inverted_cdf")


def print_speeds(megabytes: int) -> None:
    for dtype in ("float32", "int16"):
        array = made(megabytes, dtype)
        ways: dict[str, Callable[[Array], object]] = {
            "NumPy: mean, std, min, max, isnan, zeros; BLAKE3": naive,
            "NumPy, by channel; BLAKE3": naive_by_channel,
            "NumPy, with np.quantile; BLAKE3": naive_quantiles,
            "one pass, by channel, no quantiles, BLAKE3": lambda a: data_statistics(a, quantiles=()),
            "one pass, by channel, with quantiles, BLAKE3": data_statistics,
        }
        repetitions = {name: way for name, way in ways.items() if way is not naive_quantiles}
        found = interleaved(
            {name: partial(seconds, partial(way, array)) for name, way in repetitions.items()}, REPETITIONS
        )
        found["NumPy, with np.quantile; BLAKE3"] = [seconds(partial(naive_quantiles, array))] * REPETITIONS
        if dtype == "float32":
            for who, name in (("archiver", "one pass, by channel, no quantiles, BLAKE3"), ("NumPy", next(iter(ways)))):
                figure("statistics", who, [array.nbytes / value / 1e9 for value in found[name]], "GB/s")
        reference = found["NumPy: mean, std, min, max, isnan, zeros; BLAKE3"]
        rows = [
            (
                name,
                spread([array.nbytes / value / 1e9 for value in found[name]], " GB/s"),
                f"{array.size / min(found[name]) / 1e6:,.0f} M/s",
                spread(ratios(reference, found[name]), "x"),
            )
            for name in ways
        ]
        print_table(
            f"{array.nbytes / 1e6:,.0f} MB of {dtype} in RAM, {os.cpu_count()} cores, median of {REPETITIONS}",
            ("way", "speed", "values at best", "against the first"),
            rows,
        )


# -- memory, each way in a process of its own

MEASURED = """
import sys, threading, time
import numpy as np
import benchmarks.statistics as own
from archiver.data import data_statistics

def anonymous_bytes():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024

array = np.load(sys.argv[2], mmap_mode="r")
way = {"naive": own.naive, "one pass": data_statistics}[sys.argv[1]]
data_statistics(np.ones((4, 64, 512), np.float32))
before, peak, done = anonymous_bytes(), [0], threading.Event()

def watch():
    while not done.wait(0.002):
        peak[0] = max(peak[0], anonymous_bytes())

watcher = threading.Thread(target=watch)
watcher.start()
way(array)
done.set()
watcher.join()
print(peak[0] - before)
"""


def print_memory(megabytes: int, limit_megabytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.npy"
        array = np.lib.format.open_memmap(path, "w+", np.float32, ((megabytes << 20) // (64 * 512 * 4), 64, 512))
        for start in range(0, len(array), 64):
            array[start : start + 64] = np.float32(start)
        array.flush()
        rows = []
        for way in ("naive", "one pass"):
            command = [sys.executable, "-c", MEASURED, way, str(path)]
            added = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            within = "yes" if added <= limit_megabytes << 20 else "no"
            rows.append((way, f"{added / (1 << 20):,.0f} MiB", within))
    title = f"memory map of {megabytes:,} MiB: anonymous memory added at the peak, against {limit_megabytes} MiB"
    print_table(title, ("way", "added", "within the limit"), rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=512, help="size of the arrays in RAM, in MiB")
    parser.add_argument("--map-megabytes", type=int, default=1024, help="size of the memory map, in MiB")
    parser.add_argument("--limit-megabytes", type=int, default=128, help="what one pass may add, in MiB")
    arguments = parser.parse_args()
    print_machine()
    print_speeds(arguments.megabytes)
    print_memory(arguments.map_megabytes, arguments.limit_megabytes)


if __name__ == "__main__":
    main()

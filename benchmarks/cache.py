"""Window caches: size, rate of writing, and reading at random and in order, by codec and by windows in a chunk.

python -m benchmarks.cache [--windows 3000] [--rounds 3]

129 x 200 whole numbers of 16 bits that look like an electroencephalogram, and the same as float32. Chunks of more than
one window are plain HDF5 files, written by h5py with the same filter: a cache always has one window in a chunk.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data import WindowCache
from archiver.data.cache.codecs import CODECS, filter_arguments
from benchmarks.common import figure, interleaved, print_machine, print_table, ratios, spread
from benchmarks.feeding import SHAPE, eeg_like

ITEM_WINDOWS = 500
READ_WINDOWS = 32
CHUNKS = (1, 16, 64)
DEFAULT = ("int16", "bitshuffle_lz4")
PLAIN = "a plain file of the same bytes"


def write(path: Path, windows: NDArray[Any], codec: str) -> float:
    """Seconds to write a cache, in items of 500 windows, each of which is safe on the disk when it is done."""
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()
    began = time.perf_counter()
    with WindowCache.create(path, SHAPE, windows.dtype, codec=codec) as cache:
        for begin in range(0, len(windows), ITEM_WINDOWS):
            cache.append(windows[begin : begin + ITEM_WINDOWS])
        cache.complete()
    return time.perf_counter() - began


def write_plain(path: Path, windows: NDArray[Any]) -> float:
    """The same bytes in a file of their own, flushed to the disk after every item: what the disk gives."""
    began = time.perf_counter()
    with path.open("wb") as file:
        for begin in range(0, len(windows), ITEM_WINDOWS):
            file.write(windows[begin : begin + ITEM_WINDOWS].data)
            file.flush()
            os.fsync(file.fileno())
    return time.perf_counter() - began


def hand_over(smaller: float, size: int, written: dict[str, list[float]], at_random: list[float], count: int) -> None:
    """The numbers to beat."""
    figure("cache_size", "archiver", float(smaller), "x")
    figure("cache_written", "archiver", [size / 1e6 / each for each in written[str(DEFAULT)]], "MB/s")
    figure("cache_written", PLAIN, [size / 1e6 / each for each in written[PLAIN]], "MB/s")
    figure("cache_read", "archiver", [count / each / 1e3 for each in at_random], "k/s")


def read_seconds(read: Callable[[NDArray[np.int64]], Any], order: NDArray[np.int64]) -> float:
    """Seconds to read windows by 32."""
    began = time.perf_counter()
    for begin in range(0, len(order), READ_WINDOWS):
        read(order[begin : begin + READ_WINDOWS])
    return time.perf_counter() - began


def compare_codecs(folder: Path, count: int, rounds: int) -> None:
    stored = eeg_like(count)
    kinds = {"int16": stored, "float32": stored.astype("float32") * np.float32(0.1)}
    names = [(kind, codec) for kind in kinds for codec in CODECS]
    paths = {name: folder / f"{name[0]}-{name[1]}.h5" for name in names}
    writing = {str(name): partial(write, paths[name], kinds[name[0]], name[1]) for name in names}
    written = interleaved(writing | {PLAIN: lambda: write_plain(folder / "plain", stored)}, rounds)
    caches = {name: WindowCache.open(path) for name, path in paths.items()}
    any_order = np.random.default_rng(0).permutation(count)
    at_random = interleaved({str(n): partial(read_seconds, c.read, any_order) for n, c in caches.items()}, rounds)
    in_order = interleaved({str(n): partial(read_seconds, c.read, np.arange(count)) for n, c in caches.items()}, rounds)
    whole = count * np.prod(SHAPE)
    hand_over(whole * 4 / os.path.getsize(paths[DEFAULT]), stored.nbytes, written, at_random[str(DEFAULT)], count)
    rows = []
    for kind, codec in names:
        name = str((kind, codec))
        size = os.path.getsize(paths[kind, codec])
        rows.append((
            kind, codec, f"{4 * whole / size:.2f}x",
            spread([kinds[kind].nbytes / seconds / 1e6 for seconds in written[name]], " MB/s"),
            spread([count / seconds / 1e3 for seconds in at_random[name]], "k"),
            spread([count / seconds / 1e3 for seconds in in_order[name]], "k"),
        ))  # fmt: skip
    speeds = spread([stored.nbytes / seconds / 1e6 for seconds in written[PLAIN]], " MB/s")
    rows.append(("int16", PLAIN, "2.00x", speeds, "", ""))
    columns = ("stored as", "codec", "smaller than float32", "written", "windows/s, at random", "windows/s, in order")
    print_table(f"{count:,} windows, one in a chunk, median of {rounds} rounds, in turn", columns, rows)


def compare_chunks(folder: Path, count: int, rounds: int) -> None:
    import h5py

    stored, order = eeg_like(count), np.random.default_rng(0).permutation(count)
    codec = "bitshuffle_lz4"
    files = {}
    for chunk in CHUNKS:
        path = folder / f"chunk-{chunk}.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset("x", data=stored, chunks=(chunk, *SHAPE), **filter_arguments(codec))
        files[chunk] = h5py.File(path, rdcc_nbytes=0)["x"]

    def plain(dataset: Any) -> float:
        began = time.perf_counter()
        for number in order:
            dataset[number]
        return time.perf_counter() - began

    write(folder / "cache.h5", stored, codec)
    cache = WindowCache.open(folder / "cache.h5")
    measures = {f"h5py, {chunk} in a chunk": lambda each=each: plain(each) for chunk, each in files.items()}
    found = interleaved(measures | {"archiver, 1 in a chunk": lambda: read_seconds(cache.read, order)}, rounds)
    reference = found["archiver, 1 in a chunk"]
    rows = [
        (name, spread([count / each / 1e3 for each in seconds], "k"), spread(ratios(seconds, reference), "x"))
        for name, seconds in found.items()
    ]
    columns = ("file", "windows/s, at random", "time against archiver")
    print_table(f"int16, {codec}: windows in a chunk", columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--windows", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        compare_codecs(Path(folder), arguments.windows, arguments.rounds)
        compare_chunks(Path(folder), arguments.windows, arguments.rounds)


if __name__ == "__main__":
    main()

"""Training from disk against training from memory: time of an epoch and memory, for three models; then a data set
larger than the memory allowed.

python -m benchmarks.feeding [--megabytes 2000] [--rounds 2] [--models light middle heavy] [--skip-limited]

Every case is a process of its own. The time is that of `fit` for an epoch behind the first, in microseconds per window
of 129 x 200 float32, with the files in the page cache as far as they were read before; memory is anonymous memory
beyond what the process had with the model and without data. The second part begins each case with files that are not
in the page cache; it needs root and control groups, and says so where it has none.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import figure, print_machine, print_note, print_table, ratios, spread

SHAPE = (129, 200)
WINDOW_BYTES = 4 * 129 * 200
BLOCK = 500
SCALE = 0.1
BATCH = 32
EPOCHS = 3
H5_SHARE = 16
"""gzip writes and reads so slowly that one part in 16 has to do."""
SHARES = {"light": 1, "middle": 8, "heavy": 16}
"""An epoch of the slower models sees one part in so many of the windows."""
CASE_SECONDS = 600
"""What takes longer is stopped, and said to have."""
LIMIT_BYTES = 2 << 30
LIMITED_TIMES = 3
REFERENCE = "arrays in memory: fit(x, y)"


# -- the data sets


def eeg_like(count: int) -> np.ndarray[Any, Any]:
    """Whole numbers of 16 bits; what noise in the body's electricity looks like after quantising."""
    walk = np.random.default_rng(0).normal(size=(count, *SHAPE)).cumsum(axis=2)
    return np.clip(np.round(walk * 20), -32768, 32767).astype("int16")


def write_all(folder: Path, count: int, *, with_h5: bool) -> None:
    """The same windows in every form, block by block."""
    import h5py
    import tensorflow as tf

    from archiver import data

    block = eeg_like(BLOCK)
    values = block.astype("float32") * np.float32(SCALE)
    labels = (np.arange(count) % 2).astype("float32")
    np.save(folder / "y.npy", labels)
    mapped = np.lib.format.open_memmap(folder / "x.npy", "w+", "float32", (count, *SHAPE))
    for begin in range(0, count, BLOCK):
        mapped[begin : begin + BLOCK] = values[: count - begin]
    mapped.flush()
    data.write_window_file(data.ArrayWindows(mapped, labels), folder / "windows", scale=SCALE)
    with tf.io.TFRecordWriter(str(folder / "x.tfrecord")) as writer:
        for number in range(count):
            window = tf.train.Feature(bytes_list=tf.train.BytesList(value=[values[number % BLOCK].tobytes()]))
            label = tf.train.Feature(float_list=tf.train.FloatList(value=[labels[number]]))
            features = tf.train.Features(feature={"x": window, "y": label})
            writer.write(tf.train.Example(features=features).SerializeToString())
    if with_h5:
        with h5py.File(folder / "x.h5", "w") as file:
            chunks = (BATCH, *SHAPE)
            shape = (count // H5_SHARE, *SHAPE)
            x = file.create_dataset("x", shape, "float32", chunks=chunks, compression="gzip", compression_opts=4)
            for begin in range(0, len(x), BLOCK):
                x[begin : begin + BLOCK] = values[: len(x) - begin]


# -- what is given to fit


def arrays(folder: Path) -> Any:
    return np.load(folder / "x.npy"), np.load(folder / "y.npy")


def array_batches(folder: Path) -> Any:
    from archiver import data

    x, y = arrays(folder)
    return data.array_batches(x, y, batch_size=BATCH, seed=1)


def memory_map(folder: Path) -> Any:
    return np.load(folder / "x.npy", mmap_mode="r"), np.load(folder / "y.npy")


def window_batches(folder: Path, **arguments: Any) -> Any:
    from archiver import data

    return data.window_batches(data.WindowFile(folder / "windows"), batch_size=BATCH, seed=1, **arguments)


def memory_map_py_dataset(folder: Path) -> Any:
    import keras

    x, y = memory_map(folder)

    class Mapped(keras.utils.PyDataset):
        order = np.random.default_rng(1).permutation(len(x))

        def __len__(self) -> int:
            return (len(x) + BATCH - 1) // BATCH

        def __getitem__(self, index: int) -> Any:
            numbers = self.order[index * BATCH : (index + 1) * BATCH]
            return x[numbers], y[numbers]

    return Mapped()


def tensor_slices(folder: Path) -> Any:
    import tensorflow as tf

    x, y = arrays(folder)
    return tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=1).batch(BATCH).prefetch(tf.data.AUTOTUNE)


def tf_record(folder: Path) -> Any:
    import tensorflow as tf

    spec = {"x": tf.io.FixedLenFeature([], tf.string), "y": tf.io.FixedLenFeature([], tf.float32)}

    def parsed(records: Any) -> Any:
        found = tf.io.parse_example(records, spec)
        return tf.reshape(tf.io.decode_raw(found["x"], tf.float32), (-1, *SHAPE)), found["y"]

    records = tf.data.TFRecordDataset(str(folder / "x.tfrecord"), buffer_size=8 << 20)
    batches = records.shuffle(16 * 64, seed=1).batch(BATCH)
    return batches.map(parsed, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def h5_gzip(folder: Path) -> Any:
    import h5py
    import keras

    file, y = h5py.File(folder / "x.h5"), np.load(folder / "y.npy")
    x = file["x"]

    class Chunks(keras.utils.PyDataset):
        def __len__(self) -> int:
            return len(x) // BATCH

        def __getitem__(self, index: int) -> Any:
            begin = index * BATCH
            return x[begin : begin + BATCH], y[begin : begin + BATCH]

    return Chunks()


def grain(folder: Path) -> Any:
    import tensorflow as tf
    from grain.python import MapDataset

    x, y = memory_map(folder)
    source = MapDataset.range(len(x)).shuffle(seed=1).map(lambda number: (x[number], y[number])).batch(BATCH)
    specs = (tf.TensorSpec((None, *SHAPE), tf.float32), tf.TensorSpec((None,), tf.float32))
    found = tf.data.Dataset.from_generator(lambda: iter(source.to_iter_dataset()), output_signature=specs)
    return found.apply(tf.data.experimental.assert_cardinality(-(-len(x) // BATCH)))


def hugging_face(folder: Path) -> Any:
    import datasets

    x, y = memory_map(folder)
    features = datasets.Features({"x": datasets.Array2D(SHAPE, "float32"), "y": datasets.Value("float32")})

    def rows() -> Iterator[dict[str, Any]]:
        yield from ({"x": window, "y": label} for window, label in zip(x, y, strict=True))

    found = datasets.Dataset.from_generator(rows, features=features, cache_dir=str(folder / "hugging_face"))
    return found.to_tf_dataset(BATCH, columns="x", label_cols="y", shuffle=True)


ANY_ORDER, BLOCKS = "archiver window_batches, any order", "archiver window_batches, by blocks"
CASES: dict[str, Callable[[Path], Any]] = {
    REFERENCE: arrays,
    "archiver array_batches, in memory": array_batches,
    "tf.data from_tensor_slices, in memory": tensor_slices,
    ANY_ORDER: window_batches,
    BLOCKS: lambda folder: window_batches(folder, shuffle="blocks"),
    "archiver window_batches as PyDataset": lambda folder: window_batches(folder, form="pydataset"),
    "np.memmap: fit(x, y)": memory_map,
    "np.memmap in a PyDataset": memory_map_py_dataset,
    "TFRecord, shuffle of 1024": tf_record,
    "h5py gzip-4 in a PyDataset, in order": h5_gzip,
    "grain over np.memmap": grain,
    "Hugging Face datasets": hugging_face,
}
NEEDS = {"grain over np.memmap": "grain", "Hugging Face datasets": "datasets"}
LIMITED = (
    REFERENCE,
    "archiver window_batches, any order",
    "archiver window_batches, by blocks",
    "np.memmap: fit(x, y)",
    "np.memmap in a PyDataset",
    "tf.data from_tensor_slices, in memory",
    "TFRecord, shuffle of 1024",
)


# -- one case, in a process of its own


def make_model(size: str) -> Any:
    import keras

    layers: dict[str, list[Any]] = {
        "light": [keras.layers.GlobalAveragePooling1D()],
        "middle": [keras.layers.Conv1D(48, 7, activation="relu"), keras.layers.Conv1D(48, 7, activation="relu")],
        "heavy": [keras.layers.Conv1D(96, 7, activation="relu"), keras.layers.Conv1D(96, 9, activation="relu")],
    }
    pooled = [] if size == "light" else [keras.layers.GlobalAveragePooling1D()]
    model = keras.Sequential([keras.Input(SHAPE), *layers[size], *pooled, keras.layers.Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    return model


class Memory:
    """The most anonymous memory of this process, looked at every few milliseconds."""

    def __init__(self) -> None:
        self.begin_bytes = self.peak_bytes = _anonymous_bytes()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.peak_bytes = max(self.peak_bytes, _anonymous_bytes())
            time.sleep(0.005)


def _anonymous_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    return 0


def run_case(name: str, size: str, folder: Path) -> None:
    """Train, and print what was measured as JSON."""
    import keras

    model = make_model(size)
    model.train_on_batch(np.zeros((BATCH, *SHAPE), "float32"), np.zeros(BATCH, "float32"))
    memory, seconds, began = Memory(), list[float](), 0.0

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, *_: Any) -> None:
            nonlocal began
            began = time.perf_counter()

        def on_epoch_end(self, *_: Any) -> None:
            seconds.append(time.perf_counter() - began)

    given = CASES[name](folder)
    x, y = given if isinstance(given, tuple) else (given, None)
    size_of = {"batch_size": BATCH} if y is not None else {}
    whole = len(np.load(folder / "y.npy", mmap_mode="r")) // BATCH
    share = max(SHARES[size], H5_SHARE) if name.startswith("h5py") else SHARES[size]
    steps = {} if share == 1 else {"steps_per_epoch": whole // share}
    model.fit(x, y, epochs=EPOCHS, verbose=0, callbacks=[Clock()], **size_of, **steps)
    windows = whole // share * BATCH
    found = {
        "microseconds": statistics.median(seconds[1:]) / windows * 1e6,
        "seconds": sum(seconds),
        "bytes": memory.peak_bytes - memory.begin_bytes,
    }
    print(json.dumps(found))


def measured(name: str, size: str, folder: Path, before: Callable[[], object] | None = None) -> dict[str, float] | str:
    """What a case printed, or how it ended."""
    command = [sys.executable, "-m", "benchmarks.feeding", "--case", name, "--models", size, "--folder", str(folder)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, preexec_fn=before,
            timeout=CASE_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"stopped after {CASE_SECONDS} s"
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or [""])[-1][:60]
        return "killed by the kernel" if ended.returncode == -9 else f"ended with {ended.returncode}: {last}"
    found: dict[str, float] = json.loads(ended.stdout.strip().splitlines()[-1])
    return found


# -- the two parts


def compare(folder: Path, names: list[str], size: str, rounds: int) -> None:
    """A table for one model."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            outcome = measured(name, size, folder)
            if isinstance(outcome, str):
                print_note(f"{name}: {outcome}")
            else:
                found[name].append(outcome)
    reference = [each["microseconds"] for each in found[REFERENCE]]
    rows = []
    for name, outcomes in found.items():
        if len(outcomes) == rounds:
            times = [each["microseconds"] for each in outcomes]
            memory = statistics.median(each["bytes"] for each in outcomes) / 1e6
            rows.append((name, spread(times, " us"), spread(ratios(times, reference), "x"), f"{memory:,.0f} MB"))
    if size == "light":
        hand_over({name: outcomes for name, outcomes in found.items() if len(outcomes) == rounds})
    title = f"{size} model, time of a window, median of {rounds} rounds, in turn"
    print_table(title, ("data", "time of a window", "against arrays in memory", "memory added"), rows)


def hand_over(found: dict[str, list[dict[str, float]]]) -> None:
    """The numbers to beat: microseconds of a window beyond those of arrays in memory, and memory."""
    for name, outcomes in found.items():
        more = [
            each["microseconds"] - base["microseconds"] for each, base in zip(outcomes, found[REFERENCE], strict=True)
        ]
        memory = [each["bytes"] / 1e6 for each in outcomes]
        if not name.startswith("archiver") and "in memory" not in name and not name.endswith("fit(x, y)"):
            for measure in ("feeding_blocks", "feeding_any_order"):
                figure(measure, name, more, "us")
            figure("feeding_memory", name, memory, "MB")
        elif name == ANY_ORDER:
            figure("feeding_any_order", "archiver", more, "us")
            figure("feeding_memory", "archiver", memory, "MB")
        elif name == BLOCKS:
            figure("feeding_blocks", "archiver", more, "us")


def forget_pages(folder: Path) -> None:
    """Take the files out of the page cache; what lies there since before is not charged to a control group."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextlib.contextmanager
def limited_memory() -> Iterator[Callable[[], object] | None]:
    """What a process calls to live in a control group of 2 GB; None where there is none."""
    first = Path("/sys/fs/cgroup/memory")
    is_first = first.is_dir()
    group = (first if is_first else Path("/sys/fs/cgroup")) / f"archiver-feeding-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if is_first else "memory.max")).write_text(str(LIMIT_BYTES))
        with contextlib.suppress(OSError):
            (group / ("memory.memsw.limit_in_bytes" if is_first else "memory.swap.max")).write_text(
                str(LIMIT_BYTES) if is_first else "0"
            )
    except OSError as error:
        print_note(f"no control group can be made here ({error.strerror}): training in 2 GB is not measured")
        yield None
        return
    try:
        yield lambda: (group / "cgroup.procs").write_text(str(os.getpid()))
    finally:
        time.sleep(0.2)
        group.rmdir()


def compare_limited(folder: Path, count: int) -> None:
    """A table of what trains in 2 GB on a data set that is larger."""
    with limited_memory() as enter:
        if enter is None:
            return
        write_all(folder, count, with_h5=False)
        rows = []
        for name in LIMITED:
            forget_pages(folder)
            outcome = measured(name, "light", folder, enter)
            if isinstance(outcome, str):
                rows.append((name, outcome, ""))
            else:
                memory = f"{outcome['bytes'] / 1e6:,.0f} MB"
                rows.append((name, f"trained {EPOCHS} epochs in {outcome['seconds']:.0f} s", memory))
    size = count * WINDOW_BYTES / 1e9
    print_table(f"{size:.1f} GB of windows in a control group of 2 GB", ("data", "outcome", "memory added"), rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=2000, help="of the data set as float32")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--models", nargs="+", default=["light", "middle", "heavy"], choices=["light", "middle", "heavy"]
    )
    parser.add_argument("--skip-limited", action="store_true")
    parser.add_argument("--case", choices=list(CASES))
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.case:
        run_case(arguments.case, arguments.models[0], arguments.folder)
        return
    print_machine()
    names = [name for name in CASES if name not in NEEDS or importlib.util.find_spec(NEEDS[name])]
    missing = [NEEDS[name] for name in CASES if name not in names]
    if missing:
        print_note(f"not installed here, so not measured: {', '.join(missing)}")
    count = arguments.megabytes * 1_000_000 // WINDOW_BYTES
    with tempfile.TemporaryDirectory() as text:
        write_all(Path(text), count, with_h5=True)
        for size in arguments.models:
            compare(Path(text), names, size, arguments.rounds)
    if not arguments.skip_limited:
        with tempfile.TemporaryDirectory() as text:
            compare_limited(Path(text), LIMITED_TIMES * LIMIT_BYTES // WINDOW_BYTES)


if __name__ == "__main__":
    main()

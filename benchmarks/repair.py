"""What `archiver repair` makes of single random faults in a really trained archive, by kind of file and of fault.

python -m benchmarks.repair [--faults 6] [--seed 0]
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from archiver.archive.run import Run
from archiver.errors import RunStateError
from archiver.repairing import RepairReport, repair
from benchmarks.common import print_machine, print_table

Fault = Callable[[Path, random.Random], None]


def flip_bit(path: Path, numbers: random.Random) -> None:
    """One bit."""
    data = bytearray(path.read_bytes())
    bit = numbers.randrange(8 * len(data))
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def overwrite(path: Path, numbers: random.Random) -> None:
    """A stretch of up to 512 bytes becomes noise."""
    data = bytearray(path.read_bytes())
    length = min(len(data), numbers.randrange(2, 513))
    start = numbers.randrange(len(data) - length + 1)
    data[start : start + length] = numbers.randbytes(length)
    path.write_bytes(data)


def truncate(path: Path, numbers: random.Random) -> None:
    """The end is gone."""
    os.truncate(path, numbers.randrange(path.stat().st_size))


def delete(path: Path, numbers: random.Random) -> None:  # noqa: ARG001 - every fault is called alike
    """The file is gone."""
    path.unlink()


def append(path: Path, numbers: random.Random) -> None:
    """Something behind the end."""
    with path.open("ab") as file:
        file.write(numbers.randbytes(numbers.randrange(1, 200)))


FAULTS: dict[str, Fault] = {
    "one bit": flip_bit, "up to 512 bytes": overwrite, "cut off": truncate, "deleted": delete, "appended to": append,
}  # fmt: skip

KINDS = {
    ".weights.h5": "models/*[!t].weights.h5",
    ".keras": "models/*.keras",
    ".h5": "models/*[!s].h5",
    "best weights": "models/*_best.weights.h5",
    "checkpoint, arrays": "models/*_checkpoint/*.npz",
    "checkpoint, state": "models/*_checkpoint/*.json",
    "predictions": "results/*.npz",
    "records": "[cre]*/*.json",
    "schemas": "schemas/*.json",
    "journal": "journal.jsonl",
    "traces": "traces/*.csv",
    "report": "README.*",
    "manifests": "manifest-*.txt",
}
"""By the files that are meant."""


def trained(folder: Path) -> Path:
    """A small convolutional network, trained with Adam and tested, as anyone would archive it."""
    import keras
    import numpy as np

    import archiver

    numbers = np.random.default_rng(0)
    x, y = numbers.normal(size=(64, 8, 8, 1)).astype("float32"), numbers.integers(0, 2, 64)
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential([
        layers.Input((8, 8, 1)), layers.Conv2D(8, 3, activation="relu"), layers.BatchNormalization(),
        layers.Flatten(), layers.Dropout(0.2), layers.Dense(2, activation="softmax"),
    ])  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    archive = archiver.RunArchiver(folder, name="cnn")
    worse = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(val_loss=epoch + 1.0))
    model.fit(
        x[:32], y[:32], validation_data=(x[32:48], y[32:48]), epochs=2, batch_size=16, verbose=0,
        callbacks=[worse, archive],
    )  # fmt: skip
    return archive.finalize(test_data=(x[48:], y[48:])).path


def one(source: Path, name: str, fault: Fault, numbers: random.Random) -> tuple[str, float, RepairReport | None]:
    """What becomes of one fault: `restored`, `rebuilt` or `not repaired`, and the seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copytree(source, Path(folder, "run")))
        fault(path / name, numbers)
        began = time.perf_counter()
        try:
            report = repair(path, Path(folder, "new"))
        except RunStateError:  # the fault changed nothing
            return "restored", time.perf_counter() - began, None
        took = time.perf_counter() - began
        if not report.is_whole:
            return "not repaired", took, report
        same = all(
            each.read_bytes() == (source / each.relative_to(folder + "/new")).read_bytes()
            for each in Path(folder, "new").rglob("*")
            if each.is_file()
        )
        return "restored" if same else "rebuilt", took, report


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--faults", type=int, default=6, help="of each kind, in each kind of file")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print_machine()
    numbers = random.Random(arguments.seed)
    rows: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        source = Run.open(trained(Path(folder))).path
        for kind, pattern in KINDS.items():
            names = sorted(str(path.relative_to(source)) for path in source.glob(pattern))
            counts: dict[str, Counter[str]] = defaultdict(Counter)
            slowest = 0.0
            for fault_name, fault in FAULTS.items():
                for _ in range(arguments.faults):
                    what, took, _ = one(source, numbers.choice(names), fault, numbers)
                    counts[fault_name][what] += 1
                    slowest = max(slowest, took)
            rows.append((kind, *(_cell(counts[fault]) for fault in FAULTS), f"{slowest:.1f} s"))
    title = f"restored + rebuilt of {arguments.faults} single faults each, at random places; seed {arguments.seed}"
    print_table(title, ("file", *FAULTS, "slowest"), rows)


def _cell(counts: Counter[str]) -> str:
    rebuilt = f" + {counts['rebuilt']}" if counts["rebuilt"] else ""
    return f"{counts['restored']}{rebuilt} of {sum(counts.values())}"


if __name__ == "__main__":
    main()

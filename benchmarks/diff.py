"""What a comparison costs: two archives of 100 MB models, every weight different, against loading both with Keras.

`compare` reads all records and all weights of both, and computes the distances of every layer. Keras only loads the two
models; its import, which takes seconds, is not counted in the first table. The second table is of whole processes.
Interleaved, medians with the smallest and the largest; peak memory of processes of their own.

python -m benchmarks.diff
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common import interleaved, print_machine, print_table, ratios, seconds, spread

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
MEGABYTES = 100
ROUNDS = int(os.environ.get("ROUNDS", "5"))


def train(root: Path, name: str, seed: int) -> Path:
    """An archive of a model of so many megabytes, one step of training."""
    import keras
    import numpy as np

    import archiver

    archiver.seed(seed)
    units = round(MEGABYTES * 1e6 / 4 / 1024 / 4)
    layers = [keras.layers.Dense(1024 if place % 2 else units, use_bias=False) for place in range(4)]
    model = keras.Sequential([keras.Input((1024,)), *layers, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    archive = archiver.RunArchiver(root, name=name, figures=False, formats=("keras", "weights.h5"))
    x, y = np.ones((8, 1024), "float32"), np.zeros((8, 1), "float32")
    model.fit(x, y, epochs=1, verbose=0, callbacks=[archive])
    return archive.run.path


def main() -> None:
    """Print the tables."""
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        paths = [train(Path(folder), name, seed) for seed, name in enumerate(("a", "b"))]
        _in_one_process(paths)
        _whole_processes(paths)


def _in_one_process(paths: list[Path]) -> None:
    import keras

    import archiver

    files = [next(path.glob("models/*.keras")) for path in paths]
    found = archiver.compare(*paths).effects.weights
    assert found is not None
    assert found.is_complete
    measures = {
        "archiver.compare": lambda: seconds(lambda: archiver.compare(*paths)),
        "archiver.compare, weights not read": lambda: seconds(lambda: archiver.compare(*paths, tensors=False)),
        "keras.models.load_model of both": lambda: seconds(lambda: [keras.models.load_model(file) for file in files]),
    }
    times = interleaved(measures, ROUNDS)
    base = times["keras.models.load_model of both"]
    rows = [[name, spread(each, " s"), spread(ratios(each, base), "x")] for name, each in times.items()]
    print_table(f"Two models of {MEGABYTES} MB, in one process", ("", "time", "of Keras'"), rows)


_LOAD = "import sys, keras; [keras.models.load_model(file) for file in sys.argv[1:]]"
_PEAK = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
_DIFF = """import sys
from archiver.cli.main import main
try:
    main(["diff", "--output", *sys.argv[1:]])
except SystemExit:
    pass"""


def _whole_processes(paths: list[Path]) -> None:
    output = str(paths[0].parent / "diff.txt")
    files = [str(next(path.glob("models/*.keras"))) for path in paths]
    commands = {
        "archiver diff": [f"{_DIFF}\n{_PEAK}", output, *map(str, paths)],
        "import keras, and load both": [f"{_LOAD}\n{_PEAK}", *files],
    }
    peaks: dict[str, list[float]] = {name: [] for name in commands}

    def run(name: str) -> None:
        command = [sys.executable, "-c", *commands[name]]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        peaks[name].append(float(printed.stdout.split()[-1]) / 1024)

    times = interleaved({name: lambda name=name: seconds(lambda: run(name)) for name in commands}, ROUNDS)  # type: ignore[misc]
    base = times["import keras, and load both"]
    rows = [
        [name, spread(each, " s"), spread(ratios(each, base), "x"), spread(peaks[name], " MiB")]
        for name, each in times.items()
    ]
    print_table("The same as whole processes", ("", "time", "of Keras'", "peak memory"), rows)


if __name__ == "__main__":
    main()

"""Original runs for the tests, each as if by a command of its own, from one process that has TensorFlow loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import archiver
from archiver import layout
from archiver.archive.run import Run
from archiver.reproduction.reproduction import Options, Reproduction, reproduce

ROOT = Path(archiver.__file__).parents[1]
OPTIONS = "figures=False, sampling_hertz=None, formats=('weights.h5',), snapshot_every=None"

TRAIN = f"""
import sys
import keras, numpy as np
import archiver

def train(seed=3, epochs=2, change=0.0, units=8, name="a", tested=True):
    archiver.seed(seed)
    x = np.random.default_rng(0).normal(size=(96, 6)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("int64")
    x[5, 2] += change
    layers = [keras.layers.Input((6,)), keras.layers.Dense(units, "relu"), keras.layers.Dense(2, "softmax")]
    model = keras.Sequential(layers)
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    archive = archiver.RunArchiver("runs", name=name, {OPTIONS})
    model.fit(x[:64], y[:64], epochs=epochs, verbose=0, callbacks=[archive])
    if tested:
        archive.finalize(test_data=(x[64:], y[64:]))
"""

# A child that is forked runs one program as if Python had been started with these words.
_SERVER = """
import gc, json, os, sys, runpy, tempfile, traceback
from pathlib import Path
gc.disable()
import keras, tensorflow, archiver
from archiver.testing import tiny_run
archiver.RunArchiver
with tempfile.TemporaryDirectory() as folder:
    tiny_run(Path(folder), tested=True)  # what is imported for it, too, is there for all children
gc.freeze()
gc.enable()
for order in json.load(sys.stdin):
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)
        continue
    code = 0
    try:
        os.chdir(order["folder"])
        os.environ.update(order["variables"])
        words = order["words"]
        sys.orig_argv = [sys.executable, *words]
        sys.argv = words[1:] if words[0] == "-m" else list(words)
        sys.path[0] = order["folder"] if words[0] == "-m" else os.path.dirname(os.path.abspath(words[0]))
        sys.path.extend(order["path"])
        if words[0] == "-c":
            sys.argv, sys.path[0] = ["-c"], ""
            exec(words[1], {"__name__": "__main__"})
        elif words[0] == "-m":
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            from archiver.training.unmodified import _run_script
            _run_script(os.path.abspath(words[0]))
    except BaseException:
        traceback.print_exc()
        code = 1
    import atexit
    atexit._run_exitfuncs()
    sys.stdout.flush(); sys.stderr.flush()
    os._exit(code)
"""


@dataclass
class Order:
    """One program."""

    folder: str
    words: list[str]
    path: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)


def quiet() -> dict[str, str]:
    """The environment of a process that imports archiver from here."""
    return os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def run_all(orders: Sequence[Order]) -> None:
    """Run the programs one after the other."""
    text = json.dumps([asdict(order) for order in orders])
    command = [sys.executable, "-c", _SERVER]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=quiet())
    codes = [json.loads(line) for line in done.stdout.splitlines() if line.strip() in ("0", "1")]
    assert codes == [0] * len(orders), done.stderr[-3000:]


def again(run: Run | Path, store: Path, **options: object) -> tuple[Reproduction, list[str]]:
    """Reproduce a run; what was said comes along."""
    lines: list[str] = []
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    path = run.path if isinstance(run, Run) else run
    return reproduce(path, Options(store=store, **options), lines.append), lines  # type: ignore[arg-type]


def source_digests(run: Run) -> set[str]:
    """SHA-256 of every copied source file."""
    return {part.sha256 for part in run.read(layout.SOURCE).files}


def git(folder: Path, *words: str) -> None:
    """Run git as a user of its own."""
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def commit_all(folder: Path) -> None:
    """A repository with everything committed that is there."""
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")

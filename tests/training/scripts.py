"""Training scripts in processes of their own, which really die: of an exception, a signal, `os._exit`.

Importing Keras and its backend takes seconds, so that is done once: a server process imports them, uses nothing of
them, and forks for each script. The fork runs the script as its `__main__` and ends as any Python process does, through
`atexit`, `sys.excepthook` and the interpreter's own end. `run_plain` starts an interpreter of its own, to show that it
is no different.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil
import pytest

REPOSITORY = Path(__file__).parents[2]
PATIENCE_SECONDS = 60.0
LONG_SECONDS = 240.0

PREAMBLE = '''
import json, os, signal, sys, threading, time
import keras, numpy as np
import archiver

x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
y = x.sum(axis=1, keepdims=True)
keras.utils.set_random_seed(3)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="tanh"), keras.layers.Dense(1)])
model.compile("sgd", "mse")
archive = archiver.RunArchiver("runs", name="run", figures=False)


def tell(file, value):
    """A line for the test, written at once: it survives whatever comes."""
    with open(file, "ab", buffering=0) as out:
        out.write(json.dumps(value).encode() + b"\\n")


class Witness(keras.callbacks.Callback):
    """Keeps what Keras itself says of each epoch; an epoch is over, for all callbacks, when the next one begins."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch > 0:
            tell("over", epoch - 1)

    def on_epoch_end(self, epoch, logs=None):
        tell("logs", [epoch, {name: float(value) for name, value in logs.items()}])


class At(keras.callbacks.Callback):
    """Does something in one hook, in one epoch, once."""

    def __init__(self, hook, do, epoch=1):
        super().__init__()
        self.do, self.when, self.epoch = do, epoch, None
        setattr(self, hook, self.call)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def call(self, *args, **kwargs):
        if self.epoch == self.when:
            self.when = None
            self.do()


class Batches(keras.utils.PyDataset):
    """Batches of the data; one of them, counted over all epochs, may be a failure."""

    def __init__(self, fail_at=None, **arguments):
        super().__init__(**arguments)
        self.fail_at, self.given = fail_at, 0

    def __len__(self):
        return 4

    def __getitem__(self, index):
        self.given += 1
        if self.given == self.fail_at:
            fail("a bad batch")
        return x[index * 8 : index * 8 + 8], y[index * 8 : index * 8 + 8]


def fail(text="planted"):
    raise LookupError(text)


def leave():
    sys.exit(3)


def ready():
    tell("ready", 0)


def generator(fail_at=None):
    batches = Batches(fail_at)
    while True:
        for index in range(4):
            yield batches[index]


def endless():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((x, y)).batch(8).repeat()


def fit(*callbacks, data=(x, y), **arguments):
    """Trains for 4 epochs, archived; `callbacks` stand before and behind, as given, `archive` among them."""
    given = {"x": data[0], "y": data[1]} if isinstance(data, tuple) else {"x": data}
    given |= {"epochs": 4, "batch_size": 8 if isinstance(data, tuple) else None, "verbose": 0}
    return model.fit(**given | arguments, callbacks=[Witness(), *callbacks])

'''

CLAIM_AND_DIE = """
import os
from pathlib import Path
from archiver.archive.claiming import claim
from archiver.naming import run_name

claim(Path("."), run_name("run"), "version")
os._exit(9)
"""


def claim_one(root: str, barrier: Any, claimed: Any) -> None:
    """Claim a name together with other processes. Lives here, where nothing imports TensorFlow."""
    from archiver.archive.claiming import claim
    from archiver.naming import run_name

    barrier.wait()
    run, version = claim(Path(root), run_name("run"), "version")
    claimed.put((version, run.path.name, os.getpid()))


@dataclass
class Ended:
    """A script that is over."""

    folder: Path
    exit_code: int
    """As `subprocess` has it: negative for a signal."""
    errors: str
    streams: str = ""
    """What the names of the files with its standard output and error end in."""

    @property
    def output(self) -> str:
        """What it wrote to standard output."""
        return (self.folder / f"output{self.streams}").read_text()

    @property
    def logs(self) -> list[tuple[int, dict[str, float]]]:
        """Keras' own logs by epoch, as the witness saw them."""
        return [(epoch, logs) for epoch, logs in self.told("logs")]

    @property
    def epochs_over(self) -> list[int]:
        """The epochs that were surely over."""
        return self.told("over")

    def told(self, file: str) -> list[Any]:
        """What the script told in a file."""
        path = self.folder / file
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Script:
    """A script that is running."""

    def __init__(self, server: Server, folder: Path, process_id: int, streams: str = "") -> None:
        self.folder = folder
        self.process_id = process_id
        self._server = server
        self._streams = streams

    def wait_for(self, file: str) -> None:
        """Wait until the script has made a file."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (self.folder / file).exists():
            if time.monotonic() > deadline or not psutil.pid_exists(self.process_id):
                self.end()
                pytest.fail(f"{file} did not come:\n{self.errors}")
            time.sleep(0.002)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.process_id, number)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> Ended:
        """Wait for its end; a script that takes longer than that is ended, which is a failure."""
        if not self._server.says_something(seconds):
            self.end()
            pytest.fail(f"the script did not come to an end:\n{self.errors}")
        return Ended(self.folder, self._server.next_number(), self.errors, self._streams)

    def end(self) -> None:
        """End it, and what it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process_id, signal.SIGKILL)
        self._server.next_number()

    @property
    def errors(self) -> str:
        """What it wrote to standard error."""
        return (self.folder / f"errors{self._streams}").read_text()


@dataclass
class Order:
    """A program to run: `python words` in the folder, with these variables in its environment too."""

    folder: str
    words: list[str]
    variables: dict[str, str] = field(default_factory=dict)
    streams: str = ""
    """As in `Ended`."""


class Server:
    """Forks scripts from a process in which Keras and its backend are imported already; one at a time."""

    def __init__(self, **variables: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environment() | variables,
        )  # fmt: skip

    def start(self, folder: Path, body: str) -> Script:
        """Run `PREAMBLE` and `body` as `script.py` in the folder."""
        write_script(folder, body)
        return self._fork(Order(str(folder), ["script.py"]))[0]

    def run(self, folder: Path, body: str) -> Ended:
        """Run it to its end."""
        return self.start(folder, body).wait()

    def run_file(self, folder: Path, path: Path, *arguments: str) -> Ended:
        """Run a program that lies anywhere, as `python path arguments` in the folder would be, to its end."""
        return self._fork(Order(str(folder), [str(path), *arguments]))[0].wait(LONG_SECONDS)

    def run_together(self, *orders: Order) -> list[Ended]:
        """Run several programs at the same time, to their ends."""
        scripts, ended = self._fork(*orders), []
        for number, script in enumerate(scripts):
            try:
                ended.append(script.wait(LONG_SECONDS))
            except pytest.fail.Exception:
                for other in scripts[number + 1 :]:
                    other.end()
                raise
        return ended

    def _fork(self, *orders: Order) -> list[Script]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([asdict(order) for order in orders]).encode() + b"\n")
        self._process.stdin.flush()
        return [Script(self, Path(order.folder), self.next_number(), order.streams) for order in orders]

    def says_something(self, seconds: float) -> bool:
        """Whether there is an answer within so many seconds."""
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def next_number(self) -> int:
        """The number of the process that was started, or the exit code of the one that has ended."""
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the server."""
        self._process.communicate()


@contextlib.contextmanager
def serving(**variables: str) -> Iterator[Server]:
    """A server for the time of some tests, with these variables in its environment too."""
    server = Server(**variables)
    try:
        yield server
    finally:
        server.close()


def write_script(folder: Path, body: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "script.py"
    path.write_text(PREAMBLE + body)
    return path


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONFAULTHANDLER": ""}


def run_plain(folder: Path, body: str, **variables: str) -> Ended:
    """Run the script in an interpreter of its own, with these variables in its environment too; figures are drawn."""
    path = write_script(folder, body)
    path.write_text(path.read_text().replace(", figures=False", ""))
    return _run([str(path)], folder, variables)


def run_code(folder: Path, code: str) -> Ended:
    """Run code without the preamble, and so without Keras, in an interpreter of its own."""
    return _run(["-c", code], folder)


def _run(arguments: list[str], folder: Path, variables: Mapping[str, str] = MappingProxyType({})) -> Ended:
    folder.mkdir(parents=True, exist_ok=True)
    line = [sys.executable, *arguments]
    surroundings = environment() | dict(variables)
    done = subprocess.run(line, cwd=folder, env=surroundings, capture_output=True, text=True, timeout=LONG_SECONDS)
    return Ended(folder, done.returncode, done.stderr)


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`archiver ...` on the command line."""
    program = "from archiver.cli.main import main; main()"
    line = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=PATIENCE_SECONDS)


def warm_up() -> None:
    """What archiver imports, makes and finds out once in a process, before the first fork.

    An archive without a training does that without TensorFlow.
    """
    from archiver.collect.packages import collect_packages
    from archiver.collect.processor import cpu_details_once
    from archiver.testing import tiny_run

    collect_packages()
    cpu_details_once()
    with tempfile.TemporaryDirectory() as folder:
        tiny_run(Path(folder), tested=True)
    gc.enable()


def look_once_for_edited_packages() -> None:
    """It is done in each training; `run_plain` and programs of other tests do it."""
    from archiver.training import collecting

    edited = collecting.find_changed_files()
    collecting.find_changed_files = lambda: edited


def serve() -> Order | None:
    """Fork for every program that is ordered; returns the order in each fork, and None at the end."""
    for line in sys.stdin:
        children = []
        for order in json.loads(line):
            children.append(os.fork())
            if children[-1] == 0:
                return Order(**order)
            print(children[-1], flush=True)
        for child in children:
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    return None


def become(order: Order) -> types.ModuleType:
    """Take on what a process that was started for the program would have."""
    os.setsid()
    os.chdir(order.folder)
    os.environ.update(order.variables)
    files = (os.devnull, f"output{order.streams}", f"errors{order.streams}")
    for number, path in enumerate(files):
        os.dup2(os.open(path, (os.O_WRONLY if number else os.O_RDONLY) | os.O_CREAT, 0o666), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = order.words
    main = types.ModuleType("__main__")
    main.__file__ = os.path.abspath(order.words[0])
    sys.path[0] = os.path.dirname(main.__file__)
    sys.modules["__main__"] = main
    return main


if __name__ == "__main__":
    gc.disable()
    for module in ("keras", os.environ.get("KERAS_BACKEND", "tensorflow"), "archiver.training.run_archiver"):
        importlib.import_module(module)
    warm_up()
    look_once_for_edited_packages()
    order = serve()
    if order is not None:
        main = become(order)
        exec(compile(Path(main.__file__ or "").read_text(), order.words[0], "exec"), vars(main))

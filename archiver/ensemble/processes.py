"""A piece of work in a process of its own: `python -m archiver.ensemble.worker`.

Memory can be told apart only between processes, a training leaves memory behind, and a process that the kernel kills
for want of memory takes nothing with it: its exit status is its result.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from archiver.errors import MissingExtraError
from archiver.storage.files import explained

LENGTH = struct.Struct("<Q")
MAXIMAL_TAIL = 400
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def run_in_process(function: Any, job: Any, log: Path, threads: int | None = None) -> str | None:
    """Call `function(job)` in a new process and wait for it. What it prints goes to the log.

    The process ends when this one does.

    Args:
        function: of a module; what it makes, it writes to files.
        job: its argument; is pickled, classes and functions of the script included.
        log: a file, written anew.
        threads: of numeric libraries, where the environment does not say it; None: as many as they like.

    Returns:
        why it failed, in a line; None: it did not.
    """
    pickled = cloudpickle().dumps((function, job))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    environment = ({} if threads is None else dict.fromkeys(_THREADS, str(threads))) | environment
    with explained("write", log):
        log.parent.mkdir(parents=True, exist_ok=True)
        output = log.open("wb")
    with output:
        process = subprocess.Popen(
            [sys.executable, "-m", "archiver.ensemble.worker"],
            stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=environment,
        )  # fmt: skip
        with process:
            assert process.stdin is not None
            try:
                process.stdin.write(LENGTH.pack(len(pickled)) + pickled)
                process.stdin.flush()
            except BrokenPipeError:
                pass  # it is gone; its status tells why
            try:
                status = process.wait()
            except BaseException:
                process.kill()
                raise
    return None if status == 0 else _reason(status, log)


def _reason(status: int, log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    last = lines[-1].strip()[:MAXIMAL_TAIL] if lines else ""
    if status < 0:
        name = signal.Signals(-status).name
        hint = ", perhaps by the kernel for want of memory" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    return last or f"its process ended with status {status}"


def cloudpickle() -> Any:
    """The module that pickles classes and functions of a script too.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import cloudpickle
    except ImportError as error:
        raise MissingExtraError("cloudpickle is not installed. pip install 'keras-archiver[ensemble]'") from error
    return cloudpickle

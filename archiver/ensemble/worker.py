"""The process that `run_in_process` starts: takes one piece of work from standard input, does it, ends."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import traceback

from archiver.ensemble.processes import LENGTH

PARENT_GONE = 3


def main() -> None:
    """Do the work. Standard input stays open as long as the process that asked for it lives."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for that process
    source = sys.stdin.buffer
    (length,) = LENGTH.unpack(source.read(LENGTH.size))
    function, job = pickle.loads(source.read(length))  # noqa: S301 - from the process that started this one
    threading.Thread(target=_end_with_parent, name="archiver-parent", daemon=True).start()
    status = 0
    try:
        function(job)
    except BaseException:  # noqa: BLE001 - its last line is what the other process tells
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # whatever threads libraries have left behind


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(PARENT_GONE)


if __name__ == "__main__":
    main()

"""The process that uploads beside a training: `python -m archiver.remote.sender`.

A process of its own takes neither the training's memory nor its turns at the interpreter, and goes on while the script
ends, or is killed. It is asked by lines of JSON on its standard input, and answers on its standard output; what it may
use to open the store comes that way too, and stands in no command line. Where its input ends, it brings what it was
asked for to an end.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, TextIO

from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.remote.patience import Patience
from archiver.remote.uploading import Pushed, Uploader
from archiver.remote.urls import open_remote

MAXIMAL_NAMES = 1_000_000
QUICK = Patience(attempts=3)
"""For what the beginning of a training waits for."""
STEADY = Patience(attempts=6)
"""For what the end of a training waits for: a network that is gone shall not hold it up for long."""


class Sender:
    """Answers one training.

    Args:
        answer: takes what is told.
    """

    def __init__(self, answer: Callable[[Mapping[str, Any]], None]) -> None:
        self._answer = answer
        self._url = ""
        self._options: Mapping[str, Any] = {}
        self._uploader: Uploader | None = None

    def open(self, url: str, storage_options: Mapping[str, Any]) -> None:
        """Tell which names are taken in the store."""
        self._url, self._options = url, storage_options
        try:
            remote = open_remote(url, storage_options)
            remote.filesystem.invalidate_cache()
            names = QUICK.persist(f"list {remote.url}", lambda: remote.filesystem.ls(remote.root, detail=False))
        except FileNotFoundError:
            names = []
        except ArchiverError as error:
            self._answer({"error": str(error)})
            return
        self._answer({"names": [name.rstrip("/").rpartition("/")[2] for name in names[:MAXIMAL_NAMES]]})

    def push(self, folder: str, number: int) -> None:
        """Bring the run in `folder` up to date, and tell how that ended; `number` is that of the request."""
        run = Run(Path(folder), "")
        before = _seal_id(run)
        try:
            seal_id = self._push(folder).seal_id
        except (ArchiverError, OSError) as error:
            if _seal_id(run) == before:
                self._answer({"number": number, "error": str(error)})
                return
            seal_id = None  # the training went on meanwhile, and will ask again when there is something whole
        self._answer({"number": number, "seal_id": seal_id})

    def _push(self, folder: str) -> Pushed:
        if self._uploader is None:
            run = Run.open(folder)
            remote = open_remote(self._url, self._options).below(run.path.name)
            self._uploader = Uploader(run, remote, patience=STEADY)
        return self._uploader.push()


def _seal_id(run: Run) -> str | None:
    try:
        return run.seal_id
    except (ArchiverError, OSError):
        return None


def serve(requests: TextIO, answer: Callable[[Mapping[str, Any]], None]) -> None:
    """Answer until the requests end. Of several that wait for the same, the last one is answered."""
    waiting: SimpleQueue[dict[str, Any] | None] = SimpleQueue()

    def read() -> None:
        for line in requests:
            waiting.put(json.loads(line))
        waiting.put(None)

    Thread(target=read, daemon=True).start()
    sender = Sender(answer)
    wanted: dict[str, Any] | None = None
    while True:
        if wanted is not None and waiting.empty():
            sender.push(wanted["folder"], wanted["number"])
            wanted = None
            continue
        request = waiting.get()
        if request is None:
            break
        if request["ask"] == "names":
            sender.open(request["url"], request["storage_options"])
        else:
            wanted = request
    if wanted is not None:
        sender.push(wanted["folder"], wanted["number"])


def main() -> None:
    """Serve the process that started this one, as no child of it: what it measures of its own shall not be ours."""
    if os.fork():
        os._exit(0)
    os.nice(5)
    output = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):  # what a library prints is no answer
        os.dup2(nowhere, descriptor)

    def answer(told: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the training has ended, and the upload goes on
            output.write(json.dumps(told) + "\n")

    serve(sys.stdin, answer)


if __name__ == "__main__":
    main()

"""The upload beside a training, as the training sees it: requests that return at once, an end that is waited for."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archiver.progress import DelayedBar
from archiver.remote.urls import cache_folder, shown_url

NAMES_SECONDS = 20.0
"""How long the beginning of a training waits to be told which names are taken in the store."""


@dataclass(frozen=True)
class RemoteRoot:
    """The store that runs are uploaded to."""

    url: str = field(repr=False)
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What fsspec's file system is given; never recorded."""
    keeps_staging: bool = True

    @property
    def shown(self) -> str:
        """The URL without secrets."""
        return shown_url(self.url)


def staging_folder(url: str) -> Path:
    """Where runs lie before and after they are uploaded to a store, in the user's cache folder."""
    import hashlib
    import re

    shown = shown_url(url)
    digest = hashlib.sha256(shown.encode()).hexdigest()[:8]
    return cache_folder("staging") / f"{re.sub('[^A-Za-z0-9.-]+', '_', shown)[:80]}-{digest}"


class Upload:
    """One run's upload, by a process of its own. Nothing here raises for what the network does.

    Args:
        root: the store.
    """

    def __init__(self, root: RemoteRoot) -> None:
        self.root = root
        self.error: str | None = None
        """Why the last request failed; None: it did not, or is under way."""
        self._folder: Path | None = None
        self._asked = self._answered = 0
        self._seal_id: str | None = None
        self._names: list[str] | None = None
        self._has_ended = False
        self._changed = threading.Condition()
        self._owner = os.getpid()
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str] | None:
        home = Path(__file__).resolve().parents[2]  # the script may have found this package in a way of its own
        path = os.pathsep.join(filter(None, (str(home), os.environ.get("PYTHONPATH"))))
        try:
            process = subprocess.Popen(
                [sys.executable or "python3", "-P", "-m", "archiver.remote.sender"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is for the training
                env=os.environ | {"PYTHONPATH": path},
            )
        except OSError as error:
            self._end(f"the process that uploads could not be started: {error}")
            return None
        threading.Thread(target=self._listen, args=(process,), name="archiver-upload", daemon=True).start()
        return process

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        process.wait()  # what was started has left the work to a process that is nobody's child
        with process.stdout as answers, process.stderr as errors, contextlib.suppress(OSError, ValueError):
            reason = (errors.read().splitlines() or [""])[-1]  # what kept it from beginning
            for line in answers:
                self._hear(json.loads(line))
        self._end(f"the process that uploads has ended. {reason}".strip())

    def _hear(self, told: dict[str, Any]) -> None:
        with self._changed:
            self.error = told.get("error")
            if "number" in told:
                self._answered, self._seal_id = told["number"], told.get("seal_id")
            else:
                self._names = told.get("names", [])
            self._changed.notify_all()

    def _end(self, reason: str) -> None:
        with self._changed:
            self._has_ended = True
            if self._answered < self._asked or self._names is None:
                self.error = self.error or reason
            self._changed.notify_all()

    def _ask(self, **request: Any) -> None:
        process = self._process
        if process is None or process.stdin is None or self._owner != os.getpid():
            return
        with contextlib.suppress(OSError, ValueError):  # it has ended, which `_listen` tells
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()

    def taken_names(self) -> list[str]:
        """The folders of the store; none where it does not answer in time."""
        self._ask(ask="names", url=self.root.url, storage_options=dict(self.root.storage_options))
        deadline = time.monotonic() + NAMES_SECONDS
        with self._changed:
            self._changed.wait_for(lambda: self._names is not None or self._has_ended, deadline - time.monotonic())
            return self._names or []

    def begin(self, folder: Path) -> None:
        """The run lies in `folder`."""
        self._folder = folder

    def request(self) -> None:
        """Bring the run in the store up to date, some time."""
        if self._folder is None:
            return
        with self._changed:
            self._asked += 1
            number = self._asked
        self._ask(ask="push", folder=str(self._folder), number=number)

    @property
    def is_done(self) -> bool:
        """Whether nothing is under way."""
        return self._answered >= self._asked or self._has_ended

    def wait(self) -> None:
        """Until all that was asked for is there, or has failed."""
        with DelayedBar("uploading"), self._changed:
            while not self.is_done:
                self._changed.wait(1.0)  # in pieces, so that Ctrl-C gets through

    def close(self) -> None:
        """Nothing more will be asked for; what is under way is brought to an end."""
        process = self._process
        if process is not None and process.stdin is not None and self._owner == os.getpid():
            with contextlib.suppress(OSError):
                process.stdin.close()

    def failure(self) -> str | None:
        """What to tell of a run that is not in the store as it is here."""
        if self.error is None:
            return None
        return (
            f"archiver: the run could not be uploaded to {self.root.shown}: {self.error}. Nothing is lost: it lies in "
            f"{self._folder}, and `archiver push {self._folder} {self.root.shown}` goes on."
        )

    def is_there(self, seal_id: str | None) -> bool:
        """Whether the store has the run with this seal."""
        return self.error is None and self.is_done and seal_id is not None and self._seal_id == seal_id

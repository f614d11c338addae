"""A tmux server of a test's own, and processes on pseudo-terminals."""

import os
import pty
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = str(Path(sys.executable).parent / "archiver")
ROOT = Path(__file__).parent.parent.parent
PATIENCE_SECONDS = 100

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux")


def wait_for(what: Callable[[], object], described: Callable[[], str] = str) -> object:
    """The first result of `what` that is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := what()):
        assert time.monotonic() < deadline, described()
        time.sleep(0.1)
    return found


class Tmux:
    """A tmux server on a socket of its own."""

    def __init__(self, folder: str) -> None:
        self.environment = os.environ | {"TMUX_TMPDIR": folder, "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.environment.pop("TMUX", None)

    def __call__(self, *words: str, check: bool = True) -> str:
        result = subprocess.run(
            ["tmux", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert result.returncode == 0 or not check, result.stderr
        return result.stdout

    def screen(self, pane: str) -> str:
        return self("capture-pane", "-p", "-t", pane, check=False)

    def wait_for(self, pane: str, *texts: str) -> str:
        def found() -> str:
            screen = self.screen(pane)
            return screen if all(text in screen for text in texts) else ""

        return str(wait_for(found, lambda: f"{texts} not in:\n{self.screen(pane)}"))


@contextmanager
def tmux_server() -> Iterator[Tmux]:
    with tempfile.TemporaryDirectory(prefix="tmux") as folder:  # short: the way of a socket is
        tmux = Tmux(folder)
        try:
            yield tmux
        finally:
            tmux("kill-server", check=False)


def on_a_terminal(command: list[str], folder: Path) -> tuple[int, str, str]:
    """(exit code, what it printed, what its terminal got as stderr) of a command whose stderr is a terminal."""
    master, slave = pty.openpty()
    try:
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=slave, text=True) as process:
            os.close(slave)
            shown = b""
            try:
                while block := os.read(master, 1 << 16):
                    shown += block
            except OSError:  # the other end is closed
                pass
            printed = process.stdout.read()
        return process.returncode, printed, shown.decode()
    finally:
        os.close(master)

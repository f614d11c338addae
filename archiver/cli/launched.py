"""What runs in the first pane of `archiver launch`: the command on a terminal of its own, copied to pane and log.

`python -m archiver.cli.launched PIPE` reads from PIPE what to run. Programs see a terminal, so that they show their
progress and write every line at once; what is typed in the pane goes to them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import json
import os
import pty
import re
import select
import shlex
import signal
import struct
import sys
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from archiver.archive.findings import printable
from archiver.collect.redaction import redact_arguments
from archiver.errors import StorageError

BLOCK_BYTES = 1 << 16
MAXIMAL_LINE_BYTES = 1 << 16
CHECK_SECONDS = 0.2
NOT_STARTED_EXIT_CODE = 127

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # colours, movements
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links
    r"|[PX^_][^\x1b]*(?:\x1b\\)?"  # device control
    r"|[ -/]*[0-~])"
)
_ANEW = re.compile(r"[\r\x08]+")


def log_path(folder: Path, session: str) -> Path:
    """An empty log that only this user can read.

    Raises:
        StorageError: it cannot be made.
    """
    stem = f"{session}.{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    for number in itertools.count(1):
        path = folder.absolute() / (f"{stem}.log" if number == 1 else f"{stem}-{number}.log")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            continue
        except OSError as error:
            raise StorageError(error.errno, f"cannot make the log: {error.strerror}", str(path)) from error
        break
    return path


class TimedLog:
    """A log in which every line begins with the time in UTC. What it cannot write is not written: the command goes on.

    Of a line that was written over, such as a progress bar, the last state is kept. Colours and what else moves a
    cursor are left out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble: str | None = None
        self._rest = b""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def add(self, data: bytes) -> None:
        """What the command wrote."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.write(line)
        if len(self._rest) > MAXIMAL_LINE_BYTES:
            self.end_line()

    def end_line(self) -> None:
        """Write a line that has not ended."""
        rest, self._rest = self._rest, b""
        if rest:
            self.write(rest)

    def write(self, line: bytes) -> None:
        """One line, without its line feed."""
        text = f"{datetime.now(UTC).isoformat(timespec='milliseconds').replace('+00:00', 'Z')} {plain_line(line)}\n"
        try:
            os.write(self._descriptor, text.encode())
        except OSError as error:
            self.trouble = error.strerror or str(error)

    def close(self) -> None:
        """Write what is left."""
        self.end_line()
        os.close(self._descriptor)


def plain_line(line: bytes) -> str:
    """What a reader sees last of a line, without control characters."""
    text = _ESCAPES.sub("", line.decode("utf-8", errors="replace"))
    states = [state for state in _ANEW.split(text) if state.strip()]
    return printable((states[-1] if states else "").replace("\t", "    "))


def run(order: dict[str, Any]) -> int:
    """Run the command of an order, and say how it ended; its exit code, as a shell tells it."""
    words: list[str] = order["command"]
    log = TimedLog(Path(order["log"]))
    log.write(f"archiver: began {shown(words)}".encode(errors="replace"))
    began = time.monotonic()
    child, terminal = pty.fork()
    if child == 0:
        _become(words, order)
    _take_size(terminal)
    signal.signal(signal.SIGWINCH, lambda *_: _take_size(terminal))
    signal.signal(signal.SIGHUP, lambda *_: _hang_up(child))
    with _raw_input():
        status = _copy(child, terminal, log)
    log.end_line()
    end = f"archiver: the command ended with {ending(status)} after {time.monotonic() - began:.1f} s"
    log.write(end.encode())
    log.close()
    trouble = f"\narchiver: a part of the log could not be written: {log.trouble}" if log.trouble else ""
    print(f"\n{end}\nlog: {printable(order['log'])}{trouble}", flush=True)  # noqa: T201 - the pane is what the user sees
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def shown(words: Sequence[str]) -> str:
    """A command line for a reader, without the secrets that its arguments may name."""
    return printable(shlex.join(redact_arguments(words)))


def ending(status: int) -> str:
    """`exit code 3`, or `signal SIGKILL`."""
    if os.WIFEXITED(status):
        return f"exit code {os.WEXITSTATUS(status)}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(os.WTERMSIG(status)).name}"
    return f"signal {os.WTERMSIG(status)}"


def _become(words: list[str], order: dict[str, Any]) -> None:
    """In the child: become the command."""
    try:
        os.chdir(order["folder"])
        own = {name: os.environ[name] for name in ("TMUX", "TMUX_PANE", "TERM") if name in os.environ}
        os.execvpe(words[0], words, order["environment"] | own)  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"archiver: {words[0]!r} cannot be run: {error.strerror}\n".encode(errors="replace"))
    finally:
        os._exit(NOT_STARTED_EXIT_CODE)


def _hang_up(child: int) -> None:
    """The pane was closed: the command hears it as it would without us."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGHUP)


def _take_size(terminal: int) -> None:
    with contextlib.suppress(OSError):
        rows, columns = os.get_terminal_size(0)[::-1]
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@contextlib.contextmanager
def _raw_input() -> Iterator[None]:
    """Keys go to the command as they are, Ctrl-C too."""
    if not os.isatty(0):
        yield
        return
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def _copy(child: int, terminal: int, log: TimedLog) -> int:
    """Until the child ends; what it has started in the background may go on, unseen. The child's wait status."""
    sources = [terminal, 0]
    while True:
        ready, _, _ = select.select(sources, [], [], CHECK_SECONDS)
        if 0 in ready:
            keys = os.read(0, BLOCK_BYTES)
            if keys:
                os.write(terminal, keys)
            else:
                sources.remove(0)
        data = _read(terminal) if terminal in ready else b""
        if data:
            log.add(data)
            _write_all(data)
            continue
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        if terminal in ready:  # the command closed its terminal, and runs on
            return os.waitpid(child, 0)[1]


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, BLOCK_BYTES)
    except OSError as error:
        if error.errno == errno.EIO:  # Linux: nobody has the other end
            return b""
        raise


def _write_all(data: bytes) -> None:
    """To the pane; one that is gone takes nothing."""
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(1, data) :]


def main() -> None:
    """Read the order, run it."""
    with open(sys.argv[1], "rb") as pipe:
        order = json.loads(pipe.read())
    sys.exit(run(order))


if __name__ == "__main__":
    main()

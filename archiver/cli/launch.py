"""`archiver launch`."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from libtmux import Server

DEFAULT_SIZE = (140, 45)
WIDE_ENOUGH_FOR_TWO = 170
PATIENCE_SECONDS = 20.0
INSTALL = 'pip install "keras-archiver[launch]"'
_SESSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")
_OF_THE_TERMINAL = ("TMUX", "TMUX_PANE", "TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "COLUMNS", "LINES", "PWD")


@click.command("launch", context_settings={"allow_interspersed_args": False})
@click.option("--session", metavar="NAME", help="Name of the tmux session; else that of the program and the time.")
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder of runs in which COMMAND makes its own.",
)
@click.option(
    "--logs", type=click.Path(path_type=Path), default=Path("logs"), show_default=True, help="Folder for the log."
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND...")
def command(session: str | None, runs: Path, logs: Path, words: tuple[str, ...]) -> None:
    """Start COMMAND in a tmux session, with `archiver watch` in a second pane, and log what it prints.

    COMMAND runs with this environment in this folder, goes on when you leave, and stays on the screen with its exit
    code when it has ended. Every line that it prints stands in the log with the time. Ends with 0 as soon as COMMAND
    runs, with 2 where there is no such program, 7 where there is a session of that name, 9 without tmux or libtmux.

    \b
    Example:
      archiver launch --session digits -- python examples/digits_cnn.py --root runs
      tmux attach -t digits
    """
    from archiver.cli.launched import log_path

    if not words:
        raise click.UsageError("no COMMAND was given; it stands after `--`: archiver launch -- python train.py")
    _check_program(words[0])
    name = _session_name(session, words)
    server = _server()
    _check_free(server, name)
    log = log_path(logs, name)
    order = {
        "command": list(words),
        "folder": os.getcwd(),
        "log": str(log),
        "environment": {key: value for key, value in os.environ.items() if key not in _OF_THE_TERMINAL},
    }
    _start(server, name, order, runs)
    click.echo(f"session: {name}\nlog: {log}\nattach: tmux attach -t {shlex.quote(name)}")


def _check_program(program: str) -> None:
    from archiver.errors import ArgumentError

    if shutil.which(program) is None:
        raise ArgumentError(
            f"Received the command {program!r}. Expected a program that can be run, on $PATH or by its path."
        )


def _session_name(given: str | None, words: tuple[str, ...]) -> str:
    from archiver.errors import ArgumentError

    if given is None:
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(words[0]).name).strip("_-") or "command"
        return f"{plain[:60]}-{time.strftime('%Y%m%dT%H%M%S')}"
    if not _SESSION.fullmatch(given):
        raise ArgumentError(f"Received the session name {given!r}. Expected up to 100 letters, digits, '_' and '-'.")
    return given


def _server() -> Server:
    """The user's own tmux server; it need not run yet.

    Raises:
        MissingExtraError: there is no tmux, or no libtmux.
    """
    from archiver.errors import MissingExtraError

    if shutil.which("tmux") is None:
        raise MissingExtraError("archiver launch needs the program tmux, which is not installed: apt install tmux")
    try:
        import libtmux
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"archiver launch needs libtmux, which is not installed: {INSTALL}") from error
    return libtmux.Server()


def _check_free(server: Server, name: str) -> None:
    from archiver.errors import RunStateError

    if server.has_session(name, exact=True):
        raise RunStateError(
            f"there is a tmux session {name!r} already: `tmux attach -t {name}` shows it, "
            f"`tmux kill-session -t {name}` ends it; or take another --session."
        )


def _start(server: Server, name: str, order: dict[str, Any], runs: Path) -> None:
    """Make the session and hand the order over.

    tmux sees nothing of the command but the way of a pipe: its arguments need no quoting, and neither they nor the
    environment stand on a command line or on the disk.
    """
    folder = tempfile.mkdtemp(prefix="archiver-launch-")  # for this user alone
    pipe = os.path.join(folder, "order")
    try:
        os.mkfifo(pipe, 0o600)
        pane = _new_session(server, name, [*_archiver("archiver.cli.launched"), pipe])
        # First: a pane that becomes smaller when its command has ended shows nothing of it any more.
        _add_watch(server, pane, runs)
        _hand_over(pipe, json.dumps(order).encode())
    except BaseException:
        with suppress(Exception):
            server.cmd("kill-session", "-t", f"={name}")
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _archiver(module: str) -> list[str]:
    return [sys.executable, "-m", module]


def _new_session(server: Server, name: str, program: list[str]) -> tuple[str, int]:
    """The pane's id and process. Several words: tmux runs them without a shell."""
    width, height = _terminal_size()
    size = ("-x", str(width), "-y", str(height))
    described = _tmux(server, "new-session", "-d", "-P", "-F", "#{pane_id} #{pane_pid}", "-s", name, *size, *program)
    _tmux(server, "set-option", "-w", "-t", f"={name}:", "remain-on-exit", "on")
    pane, process = described.split()
    return pane, int(process)


def _add_watch(server: Server, pane: tuple[str, int], runs: Path) -> None:
    width, _ = _terminal_size()
    identity, process = pane
    way = ("-h", "-l", "50%") if width >= WIDE_ENOUGH_FOR_TWO else ("-v", "-l", "65%")
    watch = [*_archiver("archiver"), "watch", "--wait", "--process", str(process), "--", _word(os.path.abspath(runs))]
    _tmux(server, "split-window", "-d", *way, "-t", identity, *watch)


def _word(text: str) -> str:
    """A word of a tmux command: a `;` at its end would end the command."""
    return f"{text[:-1]}\\;" if text.endswith(";") else text


def _terminal_size() -> tuple[int, int]:
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return DEFAULT_SIZE
    return max(80, size.columns), max(24, size.lines - 1)


def _tmux(server: Server, *words: str) -> str:
    from archiver.errors import ArchiverError

    result = server.cmd(*words)
    if result.stderr:
        raise ArchiverError(f"tmux {words[0]} failed: {' '.join(result.stderr)}")
    return " ".join(result.stdout)


def _hand_over(pipe: str, data: bytes) -> None:
    """Write the order as soon as the pane reads it."""
    from archiver.errors import ArchiverError

    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError as error:
            if time.monotonic() > deadline:
                raise ArchiverError(f"nothing began in the tmux session for {PATIENCE_SECONDS:.0f} s") from error
            time.sleep(0.02)
    os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)

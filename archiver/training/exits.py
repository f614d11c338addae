"""How a process ends while a training is under way: uncaught exceptions, `sys.exit`, SIGTERM, the end of the script.

Whatever ends it, sessions that are still open get to say so and are sealed, without saving models. `kill -9` leaves no
time for anything; a reader derives it from the journal.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Protocol

TERMINATED_EXIT_CODE = 128 + signal.SIGTERM


class OpenSession(Protocol):
    """What the handlers need of a session."""

    thread_id: int
    """The thread that called `fit` last."""

    def note_exception(self, error: BaseException) -> None:
        """Record that this exception ended the training, if it is still under way."""

    def close_at_exit(self) -> None:
        """Record that training did not end, if so, and seal."""


_sessions: dict[int, OpenSession] = {}
_owner_process_id = 0
_was_interrupted = False


def register(session: OpenSession) -> None:
    """See to it that `session` is closed when this process ends, whether or not anybody else still holds it."""
    global _owner_process_id  # noqa: PLW0603 - handlers belong to the process
    if _owner_process_id != os.getpid():
        _owner_process_id = os.getpid()
        _sessions.clear()
        _install_hooks()
        atexit.register(_close_all)
    _sessions[id(session)] = session


def release(session: OpenSession) -> None:
    """Nothing is left to be done for `session` when this process ends."""
    _sessions.pop(id(session), None)


def _open_sessions() -> Iterator[OpenSession]:
    # A forked child inherits the handlers, but the sessions are its parent's.
    if _owner_process_id == os.getpid():
        yield from list(_sessions.values())


def _note(error: BaseException) -> None:
    """An exception ends the calling thread."""
    for session in _open_sessions():
        if session.thread_id == threading.get_ident():
            with contextlib.suppress(Exception):
                session.note_exception(error)


def _install_hooks() -> None:
    previous, previous_of_threads = sys.excepthook, threading.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        global _was_interrupted  # noqa: PLW0603 - see `_close_all`
        _was_interrupted = isinstance(error, KeyboardInterrupt)
        _note(error)
        previous(kind, error, trace)

    def hook_of_threads(arguments: threading.ExceptHookArgs, /) -> None:
        if arguments.exc_value is not None:
            _note(arguments.exc_value)
        previous_of_threads(arguments)

    sys.excepthook = hook
    threading.excepthook = hook_of_threads


def _close_all() -> None:
    for session in _open_sessions():
        with contextlib.suppress(Exception):
            session.close_at_exit()
    _sessions.clear()
    if _was_interrupted:
        _remember_interrupt()


def _remember_interrupt() -> None:
    """Let Python end by SIGINT, as it does after Ctrl-C, so that a shell's loop ends too.

    It forgets that with the first `exec` of a text, and sealing imports modules that do such a thing.
    """
    with contextlib.suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")  # noqa: S102 - a constant


class TerminationHandler:
    """While `fit` runs, turns SIGTERM into `SystemExit(143)`, so that `fit` ends with an exception that is recorded.

    Only in the main thread, and only where nobody else handles the signal.
    """

    def __init__(self) -> None:
        self._installed = False

    def install(self) -> None:
        """Begin to handle SIGTERM."""
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _terminate)
            self._installed = True

    def remove(self) -> None:
        """Give the signal back."""
        if self._installed and threading.current_thread() is threading.main_thread():
            if signal.getsignal(signal.SIGTERM) is _terminate:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._installed = False


class Terminated(SystemExit):
    """SIGTERM arrived while `fit` was running."""


def _terminate(number: int, frame: FrameType | None) -> Any:  # noqa: ARG001 - a signal handler's signature
    raise Terminated(TERMINATED_EXIT_CODE)

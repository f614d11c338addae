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
from typing import Any, NoReturn, Protocol

TERMINATED_EXIT_CODE = 128 + signal.SIGTERM


class OpenSession(Protocol):
    """What the handlers need of a session."""

    thread_id: int
    """The thread that called `fit` last."""

    def note_exception(self, error: BaseException) -> None:
        """Record that this exception ended the training, if it is still under way."""

    def request_snapshot(self) -> bool:
        """Take a snapshot when the step has ended, then call `raise_waiting`; whether it will."""

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
    """While `fit` runs, handles SIGTERM and Ctrl-C.

    SIGTERM becomes `SystemExit(143)`, so that `fit` ends with an exception that is recorded. Either waits until
    archiver's own steps are through (`undisturbed`): a library could swallow the exception in them. A second one does
    not wait.

    Only in the main thread, and only where nobody else handles the signal.
    """

    def __init__(self) -> None:
        self._is_in_use = False

    def install(self) -> None:
        """Begin to handle the signals."""
        global _users  # noqa: PLW0603 - signals belong to the process
        if self._is_in_use or not _is_main_thread():
            return
        for number, ordinary in _ORDINARY_HANDLERS.items():
            if signal.getsignal(number) is ordinary:
                signal.signal(number, _on_signal)
        self._is_in_use = True
        _users += 1

    def remove(self) -> None:
        """Give the signals back, when nobody else is in `fit`."""
        global _users  # noqa: PLW0603
        if not self._is_in_use or not _is_main_thread():
            return
        self._is_in_use = False
        _users -= 1
        for number, ordinary in _ORDINARY_HANDLERS.items():
            if _users == 0 and signal.getsignal(number) is _on_signal:
                signal.signal(number, ordinary)


_ORDINARY_HANDLERS: dict[signal.Signals, Any] = {
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}
_users = 0
_depth = 0
_waiting: int | None = None


class Terminated(SystemExit):
    """SIGTERM arrived while `fit` was running."""


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let a signal that arrives meanwhile wait for the end of the body."""
    global _depth  # noqa: PLW0603 - signals belong to the process
    if not _is_main_thread():
        yield
        return
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if _depth == 0 and _waiting is not None:
            _raise(_waiting)


def raise_waiting() -> None:
    """Let a signal that waited for the end of a step do what it does."""
    if _waiting is not None and not _depth and _is_main_thread():
        _raise(_waiting)


def _on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's signature
    global _waiting  # noqa: PLW0603
    sessions = [] if _waiting is not None else list(_open_sessions())
    is_expected = [session.request_snapshot() for session in sessions]  # of each of them
    if _waiting is None and (_depth or any(is_expected)):
        _waiting = number
    else:
        _raise(number)


def _raise(number: int) -> NoReturn:
    global _waiting  # noqa: PLW0603
    _waiting = None
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated(TERMINATED_EXIT_CODE)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()

"""Seeing an exception that ends `fit`: no callback hook is called for it.

Three things are wrapped for the time of one `fit`, on the instances that this `fit` made or was given: the iterator's
`catch_stop_iteration`, inside which the steps run, the same of the validation data's iterator, and the hooks of the
CallbackList. Each wrapper looks at an exception and lets it go on.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any

Note = Callable[[BaseException], None]

_HOOKS = ("on_epoch_begin", "on_epoch_end", "on_test_begin", "on_test_end", "on_train_end")


class _Watched:
    """A context manager around another one. A class, since a generator would replace Ctrl-C by an error of its own."""

    __slots__ = ("_inner", "_note")

    def __init__(self, inner: Any, note: Note) -> None:
        self._inner = inner
        self._note = note

    def __enter__(self) -> Any:
        return self._inner.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            swallowed: bool | None = self._inner.__exit__(kind, error, trace)
        except BaseException as raised:
            self._note(raised)
            raise
        if error is not None and not swallowed:
            self._note(error)
        return swallowed


class ExceptionWatch:
    """Calls `note` with every exception that leaves `fit`, as long as it is installed."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._wrapped: list[tuple[Any, str]] = []

    def install(self, epoch_iterator: Any, callback_list: Any) -> None:
        """Wrap what this `fit` uses; either may be None."""
        self.watch_iterator(epoch_iterator)
        if callback_list is not None:
            for name in _HOOKS:
                self._wrap(callback_list, name, self._watched_call)

    def watch_iterator(self, epoch_iterator: Any) -> None:
        """Wrap the steps that run over `epoch_iterator`."""
        if epoch_iterator is not None and hasattr(epoch_iterator, "catch_stop_iteration"):
            self._wrap(epoch_iterator, "catch_stop_iteration", self._watched_context)

    def remove(self) -> None:
        """Take all wrappers away."""
        while self._wrapped:
            owner, name = self._wrapped.pop()
            with contextlib.suppress(AttributeError):
                delattr(owner, name)

    def _wrap(self, owner: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
        if name in vars(owner):
            return
        setattr(owner, name, wrapper(getattr(owner, name)))
        self._wrapped.append((owner, name))

    def _watched_context(self, function: Any) -> Any:
        return lambda: _Watched(function(), self._note)

    def _watched_call(self, function: Any) -> Any:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except BaseException as error:
                self._note(error)
                raise

        return call

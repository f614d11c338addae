"""Seeing an exception that ends `fit`: no callback hook is called for it.

Three things are wrapped for the time of one `fit`, on the instances that this `fit` made or was given: the iterator's
`catch_stop_iteration`, inside which the steps run, the same of the validation data's iterator, and the hooks of the
CallbackList. Each wrapper looks at an exception and lets it go on.
"""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any

Note = Callable[[BaseException], None]

_HOOKS = ("on_epoch_begin", "on_epoch_end", "on_test_begin", "on_test_end", "on_train_end")


class _Notes:
    """Who wants to know of an exception: one wrapper serves all archives of a `fit`, and goes with the last."""

    def __init__(self) -> None:
        self.wanted: list[Note] = []

    def tell(self, error: BaseException) -> None:
        for note in list(self.wanted):
            note(error)


class _Watched:
    """A context manager around another one. A class, since a generator would replace Ctrl-C by an error of its own."""

    __slots__ = ("_inner", "_notes")

    def __init__(self, inner: Any, notes: _Notes) -> None:
        self._inner = inner
        self._notes = notes

    def __enter__(self) -> Any:
        return self._inner.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            swallowed: bool | None = self._inner.__exit__(kind, error, trace)
        except BaseException as raised:
            self._notes.tell(raised)
            raise
        if error is not None and not swallowed:
            self._notes.tell(error)
        return swallowed


class ExceptionWatch:
    """Calls `note` with every exception that leaves `fit`, as long as it is installed."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._wrapped: list[tuple[weakref.ref[Any], str, _Notes]] = []
        """Held weakly, here and in the wrappers: the iterator holds the data, which a failed `fit` shall let go."""

    def install(self, epoch_iterator: Any, callback_list: Any) -> None:
        """Wrap what this `fit` uses; either may be None."""
        self.watch_iterator(epoch_iterator)
        if callback_list is not None:
            for name in _HOOKS:
                self._wrap(callback_list, name, _watched_call)

    def watch_iterator(self, epoch_iterator: Any) -> None:
        """Wrap the steps that run over `epoch_iterator`."""
        if epoch_iterator is not None and hasattr(epoch_iterator, "catch_stop_iteration"):
            self._wrap(epoch_iterator, "catch_stop_iteration", _watched_context)

    def remove(self) -> None:
        """Take all wrappers away that nobody else watches through."""
        while self._wrapped:
            owner, name, notes = self._wrapped.pop()
            notes.wanted.remove(self._note)
            if not notes.wanted:
                with contextlib.suppress(AttributeError):
                    delattr(owner(), name)

    def _wrap(self, owner: Any, name: str, wrapper: Callable[[Any, _Notes], Any]) -> None:
        notes = getattr(vars(owner).get(name), "archiver_notes", None)
        if notes is None:
            if name in vars(owner):
                return
            notes = _Notes()
            wrapped = wrapper(weakref.WeakMethod(getattr(owner, name)), notes)
            wrapped.archiver_notes = notes
            setattr(owner, name, wrapped)
        if self._note not in notes.wanted:
            notes.wanted.append(self._note)
            self._wrapped.append((weakref.ref(owner), name, notes))


def _watched_context(method: weakref.WeakMethod[Any], notes: _Notes) -> Any:
    return lambda: _Watched(_alive(method)(), notes)


def _watched_call(method: weakref.WeakMethod[Any], notes: _Notes) -> Any:
    @functools.wraps(_alive(method))
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return _alive(method)(*args, **kwargs)
        except BaseException as error:
            notes.tell(error)
            raise

    return call


def _alive(method: weakref.WeakMethod[Any]) -> Any:
    """The method itself: whoever calls it through its owner keeps it alive."""
    return method()

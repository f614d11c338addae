"""Arguments of what measures: looked at before anything begins. An error says what was received and expected."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from archiver.errors import ArgumentError

F = TypeVar("F", bound=Callable[..., Any] | None)


def is_number(value: object) -> bool:
    """Whether it is a finite number that a float can hold, and not True or False."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def checked_number(argument: str, value: Any, *, least: float, most: float, expected: str) -> float:
    """A number from `least` to `most`; `expected` says so in words.

    Raises:
        ArgumentError: it is something else.
    """
    if not is_number(value) or not least <= value <= most:
        raise ArgumentError(f"Received {argument}={value!r}. Expected {expected}.")
    number: float = value
    return number


def checked_flag(argument: str, value: Any) -> bool:
    """True or False.

    Raises:
        ArgumentError: it is something else.
    """
    if not isinstance(value, bool):
        raise ArgumentError(f"Received {argument}={value!r}. Expected True or False.")
    return value


def checked_function(argument: str, value: F) -> F:
    """A function, or None where that is one of the choices.

    Raises:
        ArgumentError: it cannot be called.
    """
    if value is not None and not callable(value):
        raise ArgumentError(f"Received {argument}={value!r}. Expected a function.")
    return value


def checked_folder(argument: str, value: Any) -> Path:
    """The path of a folder.

    Raises:
        ArgumentError: it is no path.
    """
    if not isinstance(value, str | os.PathLike) or not os.fspath(value) or isinstance(os.fspath(value), bytes):
        raise ArgumentError(f"Received {argument}={value!r}. Expected the path of a folder.")
    return Path(value)

"""Asking the system: what it tells, or why it does not."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from archiver.collect.command import recordable
from archiver.records.base import Unavailable

T = TypeVar("T")

MAXIMAL_BYTES = 1 << 16

UNTOLD = Unavailable(unavailable="the system does not tell")


def attempt(function: Callable[[], T]) -> T | Unavailable:
    """What `function` returns, or why it could not be had."""
    import psutil

    try:
        return function()
    except (OSError, psutil.Error, ValueError, LookupError, AttributeError, NotImplementedError, Warning) as error:
        return Unavailable(unavailable=f"{type(error).__name__}: {recordable(str(error))}")


def text_of(path: str | os.PathLike[str], maximal_bytes: int = MAXIMAL_BYTES) -> str:
    """The text of a small file of the kernel, without the white space around it; empty where it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(maximal_bytes).decode(errors="replace").strip()
    except OSError:
        return ""


def said_in(path: str | os.PathLike[str]) -> str | Unavailable:
    """The text of a small file of the kernel."""
    return text_of(path) or UNTOLD


def number_in(path: str | os.PathLike[str]) -> int | Unavailable:
    """The whole number that a small file of the kernel holds."""
    text = text_of(path)
    return int(text) if text.removeprefix("-").isdecimal() else UNTOLD


def chosen_in(path: str | os.PathLike[str]) -> str | Unavailable:
    """The word in brackets where the kernel lists what can be chosen: `always [madvise] never`."""
    return next((word[1:-1] for word in text_of(path).split() if word.startswith("[")), UNTOLD)


def as_ranges(numbers: set[int]) -> str:
    """Whole numbers as the kernel writes lists of them: {0, 1, 2, 8} is `0-2,8`."""
    pieces: list[list[int]] = []
    for number in sorted(numbers):
        if pieces and pieces[-1][-1] == number - 1:
            pieces[-1] = [pieces[-1][0], number]
        else:
            pieces.append([number])
    return ",".join("-".join(map(str, piece)) for piece in pieces)


def count_of_ranges(text: str) -> int:
    """How many numbers a list such as `0-2,8` holds."""
    bounds = [piece.partition("-")[::2] for piece in text.split(",") if piece]
    return sum(int(last or first) - int(first) + 1 for first, last in bounds)

"""What a column of a trace is, and what all samplers have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

TraceName = Literal["memory", "utilisation", "temperature"]

Cell = float | None
"""A number, or None where nothing was measured in that row."""


@dataclass(frozen=True)
class Column:
    """One column of one trace. The unit stands at the end of its name."""

    name: str
    trace: TraceName
    description: str
    is_key: bool = False
    """Whether thinning keeps its extremes in every stretch of time, not only those of the whole file."""


class Sampler(Protocol):
    """An object with a lifetime. It is used by one thread at a time."""

    columns: tuple[Column, ...]
    unavailable: dict[str, str]
    """By column or group of columns: why it is not measured. An entry is made once."""

    def sample(self) -> Any:
        """Measure now."""

    def cells(self, reading: Any) -> Sequence[Cell]:
        """The reading as numbers, one for each of `columns`."""

    def close(self) -> None:
        """Give back what is held open."""


class Pace:
    """Tells when something expensive is due again; it is due at first."""

    __slots__ = ("_next", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._next = float("-inf")

    def is_due(self, now: float) -> bool:
        """Whether it is due at `now`, in seconds of a clock that never goes back; if so, it is next due later."""
        if now < self._next:
            return False
        self._next = now + self.seconds
        return True


class Rate:
    """Turns a counter into a rate."""

    __slots__ = ("_then", "_value")

    def __init__(self) -> None:
        self._value: float | None = None
        self._then = 0.0

    def per_second(self, value: float | None, now: float) -> float | None:
        """Growth per second since the last call; None at first, and where the counter began anew."""
        before, self._value = self._value, value
        seconds, self._then = now - self._then, now
        if value is None or before is None or value < before or seconds <= 0:
            return None
        return (value - before) / seconds


def plain_name(text: str) -> str:
    """A text of a device as part of a column's name: lower case, letters, digits and `_`."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "unnamed"

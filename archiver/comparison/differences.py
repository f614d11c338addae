"""What a comparison is made of: candidate causes, and what could not be compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

Kind = Literal[
    "seeds", "data", "configuration", "code", "origin", "packages", "settings", "hardware", "platform"
]  # fmt: skip
"""What a cause is about; `origin`: the weights a training began with."""

Place = Literal["before", "after", "both"]
"""Which of the two runs."""

MAXIMAL_TEXT_LENGTH = 400


class Rank(IntEnum):
    """How likely a difference is to be the reason that results differ: the smallest first."""

    SEED = 10
    TRAINING_DATA = 20
    ORDER_OF_DATA = 22
    VALIDATION_DATA = 25
    CONFIGURATION = 30
    FOLLOWING = 35
    """What usually follows from the configuration or the data, such as the number of steps."""
    CODE = 40
    COMMAND = 42
    PARENT = 43
    RANDOM_STATE = 44
    ORIGIN = 45
    NUMERIC_PACKAGE = 50
    SETTING = 60
    VARIABLE = 62
    HARDWARE = 70
    PYTHON = 78
    PLATFORM = 80
    TEST_DATA = 84
    MEASUREMENT = 86
    """Changes what is measured, not what is trained."""
    PACKAGE = 88
    UNRELATED = 90


@dataclass(frozen=True)
class Cause:
    """One input that differs, and so may be why results differ."""

    kind: Kind
    subject: str
    """What it is, such as `optimizer.learning_rate`."""
    before: Any
    """Plain JSON; None: not set, or not there."""
    after: Any
    rank: int
    """The smallest is the most meaningful; see `Rank`."""
    why: str
    """What it means for the results; empty where it speaks for itself."""
    where: str
    """The record and the place in it, as `kind#/json/pointer`."""

    @property
    def texts(self) -> tuple[str, str]:
        """Both values, with as many digits as tell them apart."""
        return value_texts(self.before, self.after)

    @property
    def text(self) -> str:
        """Such as `learning_rate: 0.01, now 0.001`."""
        before, after = self.texts
        if self.before is None:
            return f"{self.subject}: new, {after}"
        return f"{self.subject}: {before}, now {after if self.after is not None else 'gone'}"


@dataclass(frozen=True)
class Gap:
    """What could not be compared, and why."""

    side: Place
    """Which of the runs lacks it."""
    what: str
    reason: str


Found = Iterator[Cause | Gap]


def value_texts(before: Any, after: Any, limit: int = MAXIMAL_TEXT_LENGTH) -> tuple[str, str]:
    """Two values for a reader, with as many digits as tell them apart."""
    for digits in (6, 9, 17):
        texts = value_text(before, limit, digits), value_text(after, limit, digits)
        if texts[0] != texts[1]:
            break
    return texts


def value_text(value: Any, limit: int = MAXIMAL_TEXT_LENGTH, digits: int = 6) -> str:
    """A value for a reader, on one line, cut."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    text = canonical(value) if isinstance(value, list | dict | tuple) else str(value)
    return text if len(text) <= limit else text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def canonical(value: Any) -> str:
    """Plain JSON as one text: NaN equals itself there, and true is not 1."""
    return json.dumps(value, sort_keys=True, default=str)


def first_line(error: BaseException) -> str:
    """What an error says, on one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)

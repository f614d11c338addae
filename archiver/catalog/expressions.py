"""The language of `archiver list --where`: comparisons of columns and metrics, joined by and, or, not.

    val_accuracy > 0.9 and peak_rss < 4GB
    status != "complete" or exception is not null
    name contains "cnn" and created >= "2026-11-01"
    training_seconds > 1.5 h and not tags contains "debug"

An expression becomes a tree, never a text of SQL. Errors show the word they are about.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from archiver.catalog.columns import Unit
from archiver.errors import ArgumentError

MAXIMAL_LENGTH = 4000
MAXIMAL_DEPTH = 50

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "contains"]

UNITS: dict[str, tuple[Unit | None, float]] = {
    "b": ("bytes", 1),
    **{f"{prefix}b": ("bytes", 1000.0**power) for power, prefix in enumerate("kmgt", 1)},
    **{f"{prefix}ib": ("bytes", 1024.0**power) for power, prefix in enumerate("kmgt", 1)},
    "ms": ("seconds", 1e-3),
    "s": ("seconds", 1),
    "min": ("seconds", 60),
    "h": ("seconds", 3600),
    "d": ("seconds", 86400),
    "c": ("celsius", 1),
    "%": (None, 0.01),
}
"""By name in lower case: what is measured in it, and how much it is of the catalogue's unit."""


@dataclass(frozen=True)
class Place:
    """Where a word stands in the expression."""

    text: str
    begin: int
    end: int

    def error(self, message: str) -> ArgumentError:
        """An error that points at it."""
        return ArgumentError(f"{message}\n  {self.text}\n  {' ' * self.begin}{'^' * max(1, self.end - self.begin)}")


@dataclass(frozen=True)
class Name:
    """A column or a metric."""

    name: str
    place: Place


@dataclass(frozen=True)
class Value:
    """A number in the unit of its column, a text, a truth value."""

    value: float | str | bool
    unit: Unit | None
    place: Place


@dataclass(frozen=True)
class Comparison:
    """A column against a value."""

    name: Name
    operator: Operator
    value: Value


@dataclass(frozen=True)
class IsNull:
    """Whether a column has no value."""

    name: Name
    negated: bool


@dataclass(frozen=True)
class IsIn:
    """Whether a column has one of several values."""

    name: Name
    values: tuple[Value, ...]
    negated: bool


@dataclass(frozen=True)
class Not:
    """The opposite."""

    part: Expression


@dataclass(frozen=True)
class Joined:
    """All of several, or any."""

    word: Literal["and", "or"]
    parts: tuple[Expression, ...]


Expression = Comparison | IsNull | IsIn | Not | Joined


def parse(text: str) -> Expression:
    """The tree of an expression.

    Raises:
        ArgumentError: it is none; the message points at the word.
    """
    if len(text) > MAXIMAL_LENGTH:
        raise ArgumentError(f"Received an expression of {len(text)} characters. Expected at most {MAXIMAL_LENGTH}.")
    return _Parser(text).parsed()


_WORD = re.compile(
    r"\s*(?:(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<text>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"|(?P<quoted>`[^`]+`)|(?P<name>[^\W\d][\w./-]*)|(?P<sign><=|>=|!=|==|=|<|>|\(|\)|,|%))"
)
_KEYWORDS = ("and", "or", "not", "is", "null", "in", "contains", "true", "false")


@dataclass(frozen=True)
class _Token:
    kind: str
    value: str
    place: Place


class _Parser:
    """Recursive descent: or, and, not, comparison."""

    def __init__(self, text: str) -> None:
        self._text = " ".join(text.splitlines())
        self._tokens = list(self._split())
        self._at = 0
        self._depth = 0

    def _split(self) -> list[_Token]:
        tokens, position, text = [], 0, self._text
        while text[position:].strip():
            match = _WORD.match(text, position)
            if match is None:
                begin = position + len(text[position:]) - len(text[position:].lstrip())
                raise Place(text, begin, begin + 1).error(
                    f"Received {text[begin]!r} here. "
                    'Expected a name, a number, a "text", a comparison, and, or, ( or ).'
                )
            group = kind = str(match.lastgroup)
            value = match[group]
            if kind == "name" and value.lower() in _KEYWORDS:
                kind, value = "keyword", value.lower()
            tokens.append(_Token(kind, value, Place(text, match.start(group), match.end())))
            position = match.end()
        end = len(text.rstrip())
        tokens.append(_Token("end", "the end", Place(text, end, end + 1)))
        return tokens

    def parsed(self) -> Expression:
        found = self._any()
        if self._now.kind != "end":
            raise self._unexpected("and, or, or the end")
        return found

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    def _take(self, *values: str) -> _Token | None:
        token = self._now
        if token.kind in ("keyword", "sign") and token.value in values:
            self._at += 1
            return token
        return None

    def _unexpected(self, expected: str) -> ArgumentError:
        received = "the end" if self._now.kind == "end" else repr(self._now.value)
        return self._now.place.error(f"Received {received} here. Expected {expected}.")

    def _any(self) -> Expression:
        return self._joined("or", self._all)

    def _all(self) -> Expression:
        return self._joined("and", self._one)

    def _joined(self, word: Literal["and", "or"], part: Callable[[], Expression]) -> Expression:
        parts = [part()]
        while self._take(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Joined(word, tuple(parts))

    def _one(self) -> Expression:
        self._depth += 1
        if self._depth > MAXIMAL_DEPTH:
            raise self._now.place.error(f"Received more than {MAXIMAL_DEPTH} expressions within each other.")
        try:
            if self._take("not"):
                return Not(self._one())
            if self._take("("):
                found = self._any()
                if not self._take(")"):
                    raise self._unexpected("and, or, or )")
                return found
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Expression:
        name = self._name()
        if self._take("is"):
            negated = bool(self._take("not"))
            if not self._take("null"):
                raise self._unexpected("null" if negated else "null or not null")
            return IsNull(name, negated)
        negated = bool(self._take("not"))
        if self._take("in"):
            return IsIn(name, self._values(), negated)
        if negated:
            if not self._take("contains"):
                raise self._unexpected("in or contains")
            return Not(Comparison(name, "contains", self._value()))
        operator = self._take("=", "==", "!=", "<", "<=", ">", ">=", "contains")
        if operator is None:
            raise self._unexpected('a comparison such as =, !=, <, >, contains "...", is null or in (...)')
        sign: Any = "=" if operator.value == "==" else operator.value
        return Comparison(name, sign, self._value())

    def _name(self) -> Name:
        token = self._now
        if token.kind not in ("name", "quoted"):
            raise self._unexpected("the name of a column or a metric")
        self._at += 1
        return Name(token.value.strip("`"), token.place)

    def _values(self) -> tuple[Value, ...]:
        if not self._take("("):
            raise self._unexpected('( and values, such as in ("failed", "interrupted")')
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        if not self._take(")"):
            raise self._unexpected(", or )")
        return tuple(values)

    def _value(self) -> Value:
        token = self._now
        truth = self._take("true", "false")
        if truth:
            return Value(truth.value == "true", None, token.place)
        if token.kind == "text":
            self._at += 1
            return Value(re.sub(r"\\(.)", r"\1", token.value[1:-1]), None, token.place)
        if token.kind != "number":
            raise self._unexpected('a number such as 0.9 or 4GB, a "text" (in quotes), true or false')
        self._at += 1
        return self._with_unit(float(token.value), token)

    def _with_unit(self, number: float, token: _Token) -> Value:
        unit = self._now
        if unit.kind != "name" and unit.value != "%":
            return Value(number, None, token.place)
        known = UNITS.get(unit.value.lower())
        if known is None:
            raise unit.place.error(f"Received the unit {unit.value!r}. Expected such as KB, GiB, s, min, h, C or %.")
        self._at += 1
        place = Place(self._text, token.place.begin, unit.place.end)
        return Value(number * known[1], known[0], place)

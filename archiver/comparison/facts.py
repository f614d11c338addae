"""Facts of a record, and which of them differ from those of another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from archiver.archive.documents import json_pointer
from archiver.comparison.differences import Cause, Found, Gap, Kind, Rank, canonical
from archiver.records.base import Part, Unavailable
from archiver.storage.digests import sha256_of

DIGEST_LENGTH = 12
MAXIMAL_DEPTH = 8
"""Of plain JSON; what lies deeper is compared as a whole."""


@dataclass(frozen=True)
class Topic:
    """What all facts of a kind have in common."""

    kind: Kind
    rank: Rank
    why: str = ""

    def about(self, why: str) -> Topic:
        """The same, with another explanation."""
        return Topic(self.kind, self.rank, why)


@dataclass(frozen=True)
class Fact:
    """One thing a record says."""

    subject: str
    value: Any
    topic: Topic
    pointer: str


Facts = Iterator[Fact]


def fact(topic: Topic, subject: str, value: Any, *place: str | int) -> Fact:
    """A fact, and its place in the record."""
    return Fact(subject, value, topic, json_pointer(place))


def flat(topic: Topic, subject: str, value: Any, *place: str | int) -> Facts:
    """The leaves of plain JSON, by the names that lead to them."""
    if isinstance(value, Part) and not isinstance(value, Unavailable):
        value = value.model_dump(mode="json")
    if isinstance(value, dict) and value and set(value) != {"unavailable"} and len(place) < MAXIMAL_DEPTH:
        for key, item in value.items():
            yield from flat(topic, f"{subject}.{key}" if subject else str(key), item, *place, str(key))
    else:
        yield fact(topic, subject, value, *place)


def differing(record: str, before: Iterable[Fact], after: Iterable[Fact]) -> Found:
    """The facts that differ, and those that only one of the two could tell.

    Args:
        record: its kind, for `Cause.where`.
        before: the facts of one run; a subject that is missing has the value None.
        after: those of the other.
    """
    old, new = ({each.subject: each for each in facts} for facts in (before, after))
    hidden = _below(old) | _below(new)
    for subject in merged(old, new):
        one, other = old.get(subject), new.get(subject)
        if (one is None or other is None) and _is_below((one or other), hidden):
            continue
        told = other or one
        assert told is not None
        unknown = [side for side, each in (("before", one), ("after", other)) if each and reason_of(each.value)]
        if len(unknown) == 1:
            lacking = one if unknown == ["before"] else other
            yield Gap(unknown[0], subject, reason_of(lacking.value) or "")  # type: ignore[union-attr, arg-type]
        elif not unknown:
            values = plain(one.value) if one else None, plain(other.value) if other else None
            if canonical(values[0]) != canonical(values[1]):
                topic = told.topic
                yield Cause(topic.kind, subject, *values, topic.rank, topic.why, f"{record}#{told.pointer}")


def _below(facts: dict[str, Fact]) -> set[str]:
    """Where a whole part could not be had, of which the other run may tell single values."""
    return {each.pointer for each in facts.values() if reason_of(each.value)}


def _is_below(told: Fact | None, hidden: set[str]) -> bool:
    if told is None or reason_of(told.value):
        return False
    parts = told.pointer.split("/")
    return any("/".join(parts[:length]) in hidden for length in range(2, len(parts) + 1))


def merged(old: Iterable[str], new: Iterable[str]) -> Iterator[str]:
    """The names of both in one order, which does not depend on which of the two comes first."""
    places: dict[str, int] = {}
    for names in (old, new):
        for place, name in enumerate(names):
            places[name] = min(place, places.get(name, place))
    return iter(sorted(places, key=lambda name: (places[name], name)))


def reason_of(value: Any) -> str | None:
    """Why a value could not be had; None where it could."""
    if isinstance(value, Unavailable):
        return value.unavailable
    if isinstance(value, dict) and set(value) == {"unavailable"}:
        return str(value["unavailable"])
    return None


def plain(value: Any) -> Any:
    """As plain JSON."""
    if isinstance(value, Part):
        return value.model_dump(mode="json")
    return list(value) if isinstance(value, tuple) else value


def known(value: Any) -> Any:
    """The value; None where it could not be had."""
    return None if reason_of(value) is not None else value


def short(digest: Any) -> Any:
    """The beginning of a digest, which tells it from others."""
    return digest[:DIGEST_LENGTH] if isinstance(digest, str) else digest


def digest_of(value: Any) -> str:
    """A short digest of plain JSON."""
    return sha256_of(canonical(plain(value)).encode())[:DIGEST_LENGTH]

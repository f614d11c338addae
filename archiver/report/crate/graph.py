"""The entities of a crate: flat, each once, with plain values only."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

from archiver.records.base import write_real
from archiver.report.markdown import in_words, printable

Entity = dict[str, Any]
Reference = dict[str, str]

_Value = TypeVar("_Value")

MAXIMAL_TEXT_LENGTH = 1000
MAXIMAL_IDENTIFIER_LENGTH = 100
MAXIMAL_VALUES = 100
"""Values of one kind, such as hyper-parameters or scores: the records have them all."""


class Graph:
    """Entities by their `@id`, in the order in which they came."""

    def __init__(self) -> None:
        self.entities: dict[str, Entity] = {}

    def add(self, identifier: str, kind: str | list[str], /, **properties: Any) -> Reference:
        """Add an entity, under a number of its own where another one has the identifier.

        Returns:
            The reference to it.
        """
        found = entity(identifier, kind, **properties)
        number = 1
        while self.entities.setdefault(found["@id"], found) != found:
            number += 1
            found["@id"] = f"{identifier}-{number}"
        return reference(found["@id"])

    def value(self, identifier: str, name: str, value: Any, description: str | None = None) -> Reference:
        """Add a named value."""
        return self.add(identifier, "PropertyValue", name=name, value=plain(value), description=description)


def reference(identifier: str) -> Reference:
    """What stands for an entity in another one."""
    return {"@id": identifier}


def entity(identifier: str, kind: str | list[str], /, **properties: Any) -> Entity:
    """An entity without its empty properties; a list of one is its item, as RO-Crate asks for."""
    found: Entity = {"@id": identifier, "@type": kind}
    for name, value in properties.items():
        kept = _compact(value)
        if kept is not None:
            found[name] = kept
    return found


def _compact(value: Any) -> Any:
    if isinstance(value, str):
        return text(value) or None
    if isinstance(value, list | tuple):
        items = [_compact(item) for item in value]
        return None if not items else items[0] if len(items) == 1 else items
    return value


def text(value: object) -> str:
    """Somebody's words: on one line, without what turns or hides text, cut where they are long."""
    words = str(value)
    found = words if words.isascii() and words.isprintable() else printable(words)
    return found if len(found) <= MAXIMAL_TEXT_LENGTH else found[: MAXIMAL_TEXT_LENGTH - 1] + "…"


def plain(value: Any) -> Any:
    """The value of a PropertyValue: a truth, a number, or a text."""
    if value is None:
        return "none"
    if isinstance(value, bool | int):
        return value
    return write_real(value) if isinstance(value, float) else in_words(value) or "empty"


def local(*parts: object) -> str:
    """An identifier inside the document: `#training`, `#test/accuracy`; what an IRI does not allow is encoded."""
    return "#" + "/".join(quote(printable(str(part))[:MAXIMAL_IDENTIFIER_LENGTH], safe="") or "-" for part in parts)


def first_values(values: Iterable[_Value]) -> list[_Value]:
    """As many of the values as a crate takes."""
    return list(values)[:MAXIMAL_VALUES]


def moment(time: datetime) -> str:
    """A time as Process Run Crate's validators want it: ISO 8601 to the millisecond, UTC as `+00:00`."""
    return time.isoformat(timespec="milliseconds")

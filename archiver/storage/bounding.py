"""Keeping plain JSON readable: long lists, objects and texts become a length, a beginning and a digest."""

from __future__ import annotations

from typing import Any

from archiver.storage.digests import canonical_json, sha256_of

MAXIMAL_ITEMS = 100
MAXIMAL_CHARACTERS = 10_000
SHOWN_ITEMS = 10
SHOWN_CHARACTERS = 200


def bounded(value: Any, maximal_items: int = MAXIMAL_ITEMS) -> Any:
    """`value` with every list or object of more than `maximal_items`, and every text of more than
    `MAXIMAL_CHARACTERS`, replaced by `{"count", "first", "sha256"}`; the digest is that of its canonical JSON.

    Args:
        value: plain JSON.
        maximal_items: how many a list or object may have; it may be deeper.
    """
    if isinstance(value, str):
        return value if len(value) <= MAXIMAL_CHARACTERS else _cut(value, value[:SHOWN_CHARACTERS])
    if isinstance(value, list):
        if len(value) > maximal_items:
            return _cut(value, [bounded(item, maximal_items) for item in value[:SHOWN_ITEMS]])
        return [bounded(item, maximal_items) for item in value]
    if isinstance(value, dict):
        if len(value) > maximal_items:
            first = list(value)[:SHOWN_ITEMS]
            return _cut(value, {key: bounded(value[key], maximal_items) for key in first})
        return {key: bounded(item, maximal_items) for key, item in value.items()}
    return value


def _cut(value: Any, first: Any) -> dict[str, Any]:
    return {"count": len(value), "first": first, "sha256": sha256_of(canonical_json(value))}

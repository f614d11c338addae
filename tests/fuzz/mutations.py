"""Changes to good bytes that get deeper into a reader than random bytes do, drawn by hypothesis."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

INTERESTING = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1)
"""What lengths, counts and addresses are changed to."""

HOSTILE_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1 << 64, 10**400, 1e308, float("inf"), float("nan"), "", "x" * 1000, "\0\x1b[2J", "\u202e",
    "NaN", "../../x", [], {}, [[]], {"": None}, [0] * 1000, {"unavailable": "x"}, {"process": 3}, "2026-01-01T00:00Z",
)  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, seeds: list[bytes], *, is_text: bool) -> bytes:
    """One of the seeds with up to four changes."""
    data = draw(st.sampled_from(seeds))
    changes = (flip, number, splice, repeat, cut, *((node,) * 4 if is_text else ()))
    for _ in range(draw(st.integers(1, 4))):
        data = draw(st.sampled_from(changes))(draw, data, seeds)
    return data


def flip(draw: Any, data: bytes, seeds: list[bytes]) -> bytes:
    """A bit, or a byte."""
    if not data:
        return data
    at = draw(st.integers(0, len(data) - 1))
    return data[:at] + bytes([data[at] ^ draw(st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128, 255]))]) + data[at + 1 :]


def number(draw: Any, data: bytes, seeds: list[bytes]) -> bytes:
    """A field of one to eight bytes becomes a number at the edge of what it can be, or that of the file."""
    width = draw(st.sampled_from([1, 2, 4, 8]))
    if len(data) < width:
        return data
    at = draw(st.integers(0, len(data) - width))
    value = draw(st.sampled_from((*INTERESTING, len(data), len(data) - 1, at))) & ((1 << 8 * width) - 1)
    return data[:at] + value.to_bytes(width, draw(st.sampled_from(["little", "big"]))) + data[at + width :]


def splice(draw: Any, data: bytes, seeds: list[bytes]) -> bytes:
    """A stretch of another file, or of this one, over a stretch."""
    other = draw(st.sampled_from(seeds))
    start, length = draw(st.integers(0, len(other))), draw(st.integers(0, 200))
    at = draw(st.integers(0, len(data)))
    kept = draw(st.booleans())
    return data[:at] + other[start : start + length] + data[at if kept else at + length :]


def repeat(draw: Any, data: bytes, seeds: list[bytes]) -> bytes:
    """A stretch many times."""
    at, length = draw(st.integers(0, len(data))), draw(st.integers(1, 50))
    return data[:at] + data[at : at + length] * draw(st.sampled_from([2, 10, 500])) + data[at:]


def cut(draw: Any, data: bytes, seeds: list[bytes]) -> bytes:
    """A stretch is gone."""
    at, length = draw(st.integers(0, len(data))), draw(st.sampled_from([1, 4, 16, 1000, 1 << 20]))
    return data[:at] + data[at + length :]


def node(draw: Any, data: bytes, seeds: list[bytes]) -> bytes:
    """One value in a JSON document, or in a line of it, becomes one of another type or size."""
    lines = data.split(b"\n") if b'{"event"' in data[:20] else [data]
    at = draw(st.integers(0, len(lines) - 1))
    try:
        document = json.loads(lines[at])
    except ValueError:
        return data
    places = _places(document)
    if not places:
        return data
    parent, key = draw(st.sampled_from(places))
    value = draw(st.sampled_from(HOSTILE_VALUES))
    if draw(st.booleans()):
        parent[key] = value
    elif isinstance(parent, dict):
        parent[draw(st.sampled_from(["", "kind", "phase", "process", "x\0"]))] = value
    lines[at] = json.dumps(document).encode()
    return b"\n".join(lines)


def _places(document: Any) -> list[tuple[Any, Any]]:
    """Every container and key."""
    found: list[tuple[Any, Any]] = []
    pending = [document]
    while pending:
        value = pending.pop()
        keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        for key in keys:
            found.append((value, key))
            pending.append(value[key])
    return found

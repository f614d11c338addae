"""The one bit that was flipped, found by trying all of them: the recorded digest says which one it was."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable

from archiver.storage.digests import hasher
from archiver.storage.journal import parse_journal

MAXIMAL_BYTES = 64 << 10
"""Files up to here are tried whole: eight digests for each byte."""
MAXIMAL_WORK_BYTES = 16 << 30
"""Digested at most for one file."""
MAXIMAL_SECONDS = 60.0
"""Spent at most on one file."""
MAXIMAL_TOTAL_SECONDS = 300.0
"""Spent at most on all files."""
_NEAR = 64
"""Bytes before and behind the place where a JSON document cannot be read on."""


def flipped_back(data: bytes, path: str, algorithm: str, digest: str, seconds: float = MAXIMAL_SECONDS) -> bytes | None:
    """The bytes with the one bit flipped that gives them the digest.

    Args:
        data: of the damaged file.
        path: of the file; says where in a document to look first.
        algorithm: of the digest.
        digest: the recorded one.
        seconds: to spend at most.

    Returns:
        None where no single bit does, or where trying on would take too long.
    """
    deadline = time.monotonic() + seconds
    suspects = sorted(suspicious(data, path))
    if len(suspects) * 8 * len(data) <= MAXIMAL_WORK_BYTES:
        found = _try(data, suspects, algorithm, digest, deadline)
        if found is not None:
            return found
    return _try(data, range(len(data)), algorithm, digest, deadline) if len(data) <= MAXIMAL_BYTES else None


def suspicious(data: bytes, path: str) -> set[int]:
    """Positions in a text where something does not look like one."""
    if not path.endswith((".json", ".jsonl", ".md", ".html", ".csv", ".svg", ".txt", ".previous", ".patch", ".py")):
        return set()
    found = {place for place, byte in enumerate(data) if byte >= 0x80 or (byte < 0x20 and byte not in b"\t\n\r")}  # noqa: PLR2004
    if path.endswith(".jsonl"):
        starts = [0, *(place + 1 for place, byte in enumerate(data) if byte == 0x0A)]  # noqa: PLR2004
        for line, _ in parse_journal(data).faults[:2]:
            found |= set(range(starts[line - 1], min(len(data), starts[line])))
    elif path.endswith(".json"):
        try:
            json.loads(data.decode("latin-1"))
        except json.JSONDecodeError as error:
            found |= set(range(max(0, error.pos - _NEAR), min(len(data), error.pos + _NEAR)))
        except (ValueError, RecursionError):
            pass
    return found


def _try(data: bytes, positions: Iterable[int], algorithm: str, digest: str, deadline: float) -> bytes | None:
    view, wanted = memoryview(data), bytes.fromhex(digest)
    prefix, done = hasher(algorithm), 0
    for position in positions:
        prefix.update(view[done:position])
        done = position
        if not position % 256 and time.monotonic() > deadline:
            return None
        rest, byte = view[position + 1 :], data[position]
        for bit in range(8):
            each = prefix.copy()
            each.update(bytes((byte ^ 1 << bit,)))
            each.update(rest)
            if each.digest() == wanted:
                return data[:position] + bytes((byte ^ 1 << bit,)) + data[position + 1 :]
    return None

"""Where the one changed byte is, told by the CRC-32 that a zip file keeps of each member.

A CRC is linear: the CRC of the changed bytes and the recorded one differ by what the change alone would give, moved on
by one step for each byte behind it. That number is found by baby steps and giant steps, so that the search takes the
square root of the member's length instead of all its bits. What is found is a proposal: changes of two bytes can look
the same, and the digest of the whole file decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

_POLYNOMIAL = 0xEDB88320
_BYTE = 256


def _table() -> tuple[int, ...]:
    entries = []
    for value in range(_BYTE):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)  # noqa: PLW2901
        entries.append(value)
    return tuple(entries)


_TABLE = _table()
_INVERSE = {entry >> 24: (entry, place) for place, entry in enumerate(_TABLE)}


def single_byte_changes(length: int, received: int, recorded: int) -> Iterator[tuple[int, int]]:
    """The changes of one byte that explain a CRC.

    Args:
        length: bytes of the member.
        received: the CRC-32 of its bytes as they are.
        recorded: that of its bytes as they were.

    Yields:
        the position of the byte, and what to combine it with by exclusive or.
    """
    syndrome = received ^ recorded
    if not syndrome or not length:
        return
    step = math.isqrt(length) + 1
    baby: dict[int, list[int]] = {}
    for steps in range(step):
        baby.setdefault(syndrome, []).append(steps)
        syndrome = _backward(syndrome)
    leap = _leap(step)
    for change in range(1, _BYTE):
        state = _TABLE[change]
        for giant in range(step + 1):
            for steps in baby.get(state, ()):
                behind = giant * step + steps
                if behind < length:
                    yield length - 1 - behind, change
            state = leap[0][state & 255] ^ leap[1][state >> 8 & 255] ^ leap[2][state >> 16 & 255] ^ leap[3][state >> 24]


def _forward(state: int) -> int:
    """One zero byte later."""
    return state >> 8 ^ _TABLE[state & 255]


def _backward(state: int) -> int:
    """One zero byte earlier."""
    entry, place = _INVERSE[state >> 24]
    return ((state ^ entry) << 8 | place) & 0xFFFFFFFF


def _leap(steps: int) -> tuple[list[int], ...]:
    """So many zero bytes later, by each byte of the state."""
    bits = [1 << bit for bit in range(32)]
    for _ in range(steps):
        bits = [_forward(state) for state in bits]
    tables = []
    for byte in range(4):
        table = [0] * _BYTE
        for value in range(_BYTE):
            for bit in range(8):
                table[value] ^= bits[8 * byte + bit] if value >> bit & 1 else 0
        tables.append(table)
    return tuple(tables)

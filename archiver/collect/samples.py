"""Fingerprints of single samples: which stand in the data twice, and which stand in two splits.

A sample's hash is a multilinear one: strongly universal, as Lemire and Kaser show in "Strongly universal string
hashing is fast" (The Computer Journal 57(11), 2014), so that two different samples agree with a chance of 2**-64, and
made of sums of products, so that NumPy computes it for many samples at once. It proves nothing against someone who
makes up samples that collide; the arrays' SHA-256 do. `schemas/README.md` defines it for others to compute.
"""

from __future__ import annotations

import hashlib
import weakref
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.collect.numbers import raw_bytes
from archiver.records.base import Unavailable
from archiver.records.dataset import DuplicatesPart

PIECE_WORDS = 1 << 14
"""Words of 4 bytes that are hashed together; a longer sample is hashed in pieces, and then the pieces' hashes."""
MAXIMAL_SAMPLES = 2_000_000
"""Of one split; 16 bytes of each are kept until the run is left."""
FIRST_PAIRS = 10
JOINED_ROWS = 1 << 14

Words = NDArray[np.uint64]
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


def splitmix(count: int) -> Words:
    """The first `count` outputs of SplitMix64 (Steele, Lea and Flood 2014) begun at 0."""
    state = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


class _Factors:
    """The factors of the two sums, as many as were ever needed: (2, 1 + words)."""

    def __init__(self) -> None:
        self._table = np.empty((2, 0), np.uint64)

    def first(self, word_count: int) -> Words:
        table = self._table  # read once: several threads may want more at the same time
        if table.shape[1] < word_count + 1:
            table = np.ascontiguousarray(splitmix(2 * (word_count + 1)).reshape(-1, 2).T)
            self._table = table
        return table[:, : word_count + 1]


_factors = _Factors()


def hash_words(words: NDArray[Any]) -> Words:
    """One hash of 64 bits for each row of words below 2**32, of shape (rows, words)."""
    factors = _factors.first(words.shape[1])
    wide = words.astype(np.uint64)
    high, low = (np.einsum("ij,j->i", wide, row[1:]) + row[0] for row in factors)
    return np.asarray((high & ~_LOW) | (low >> _HALF), np.uint64)


def _halves(hashes: Words) -> Words:
    """Hashes of shape (rows, n) as words: (rows, 2 n), the upper half of each first."""
    return np.stack([hashes >> _HALF, hashes & _LOW], axis=-1).reshape(len(hashes), -1)


class RowHashes:
    """The hashes of the pieces of each row of an array that comes in blocks."""

    def __init__(self) -> None:
        self._parts: list[Words] = []

    def update(self, block: NDArray[Any]) -> None:
        """Add rows, contiguous and little-endian."""
        words = _words(block)
        starts = range(0, max(1, words.shape[1]), PIECE_WORDS)
        pieces = [hash_words(words[:, start : start + PIECE_WORDS]) for start in starts]
        self._parts.append(np.stack(pieces, axis=1))

    def hashes(self) -> Words:
        """Of shape (rows, pieces)."""
        return np.concatenate(self._parts) if self._parts else np.empty((0, 1), np.uint64)


def _words(block: NDArray[Any]) -> NDArray[np.uint32]:
    """The bytes of each row, filled up with zeros, as words of 4 bytes."""
    rows = len(block)
    if not block.size:
        return np.zeros((rows, 0), np.uint32)
    data = np.frombuffer(raw_bytes(block), np.uint8).reshape(rows, -1)
    if data.shape[1] % 4:
        data = np.pad(data, ((0, 0), (0, -data.shape[1] % 4)))
    return data.view("<u4")


@dataclass(eq=False)
class Samples:
    """What is kept of a split's samples: 16 bytes each, sorted by the hash of the inputs, then by position."""

    layout: tuple[tuple[str, tuple[int, ...], str], ...]
    """Name, shape and dtype of each input of one sample: only samples that are made alike can be compared."""
    inputs: Words
    positions: NDArray[np.uint32]
    targets: NDArray[np.uint32] | None
    """The lower half of the hash of the targets; None without targets."""
    fingerprint: str
    within: DuplicatesPart | None = None
    """Known once it was asked for."""
    between: weakref.WeakKeyDictionary[Samples, DuplicatesPart] = field(default_factory=weakref.WeakKeyDictionary)
    """By the second split, likewise."""


def samples_of(layout: Any, inputs: list[RowHashes], targets: list[RowHashes]) -> Samples:
    """Join the hashes of all arrays of the inputs, and of the targets, into one of each sample."""
    of_inputs = _joined([each.hashes() for each in inputs])
    of_targets = _joined([each.hashes() for each in targets]) if targets else None
    both = of_inputs if of_targets is None else _joined([of_inputs[:, None], of_targets[:, None]])
    order = np.argsort(of_inputs, kind="stable")
    return Samples(
        layout=tuple(layout),
        inputs=of_inputs[order],
        positions=order.astype(np.uint32),
        targets=None if of_targets is None else (of_targets & _LOW).astype(np.uint32)[order],
        fingerprint=hashlib.sha256(raw_bytes(np.sort(both).astype("<u8"))).hexdigest(),
    )


def _joined(hashes: list[Words]) -> Words:
    """One hash for each row of all arrays of shape (rows, n); many rows at a time, to bound the memory."""
    joined = np.empty(len(hashes[0]), np.uint64)
    for start in range(0, len(joined), JOINED_ROWS):
        rows = slice(start, start + JOINED_ROWS)
        joined[rows] = hash_words(_halves(np.concatenate([each[rows] for each in hashes], axis=1)))
    return joined


def duplicates_within(samples: Samples) -> DuplicatesPart:
    """Samples that repeat an earlier one of the same split."""
    if samples.within is None:
        samples.within = _within(samples)
    return samples.within


def _within(samples: Samples) -> DuplicatesPart:
    repeats = np.flatnonzero(samples.inputs[1:] == samples.inputs[:-1]) + 1
    firsts = np.searchsorted(samples.inputs, samples.inputs[repeats], side="left")
    conflicting: int | Unavailable = Unavailable(unavailable="there are no targets")
    if samples.targets is not None:
        groups = _keys(_groups(samples.inputs), samples.targets) if repeats.size else np.empty(0, np.uint64)
        pairs = np.unique(groups) >> _HALF
        conflicting = len(np.unique(pairs[1:][pairs[1:] == pairs[:-1]]))
    return _part(samples, samples.positions[firsts], samples.positions[repeats], conflicting)


def duplicates_between(first: Samples, second: Samples) -> DuplicatesPart | Unavailable:
    """Samples of the second split that also stand in the first."""
    if first.layout != second.layout:
        return Unavailable(unavailable="the samples differ in shape, dtype or the names of the inputs")
    found = first.between.get(second)
    if found is None:
        found = first.between[second] = _between(first, second)
    return found


def _between(first: Samples, second: Samples) -> DuplicatesPart:
    if not len(first.inputs):
        return _part(second, first.positions, first.positions, 0)
    places = np.searchsorted(first.inputs, second.inputs, side="left")
    places[places == len(first.inputs)] = 0
    shared = np.flatnonzero(first.inputs[places] == second.inputs)
    places = places[shared]
    conflicting: int | Unavailable = Unavailable(unavailable="there are no targets")
    if first.targets is not None and second.targets is not None:
        groups = _groups(first.inputs)
        known = np.sort(_keys(groups, first.targets))
        wanted = _keys(groups[places], second.targets[shared])
        at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        conflicting = int(np.count_nonzero(known[at] != wanted))
    return _part(second, first.positions[places], second.positions[shared], conflicting)


def _groups(sorted_hashes: Words) -> Words:
    """The number of each one's value among the different values."""
    is_new = np.concatenate([[0], sorted_hashes[1:] != sorted_hashes[:-1]])
    return np.cumsum(is_new).astype(np.uint64)


def _keys(groups: Words, targets: NDArray[np.uint32]) -> Words:
    return (groups << _HALF) | targets


def _part(counted: Samples, earlier: Any, later: Any, conflicting: int | Unavailable) -> DuplicatesPart:
    shown = np.argsort(later, kind="stable")[:FIRST_PAIRS]
    total = len(counted.inputs)
    return DuplicatesPart(
        count=len(later),
        share=len(later) / total if total else 0.0,
        conflicting_count=conflicting,
        first_pairs=tuple((int(earlier[each]), int(later[each])) for each in shown),
    )

"""Random numbers of very many independent streams at once, each of which can be had alone: SplitMix64 in NumPy.

A stream is a state and an odd increment. Its draw number i is a fixed mixture of `state + (i + 1) * increment`, so that
nothing has to be drawn before it, and streams are split as a tree: by seed, epoch, operation, window. Bit for bit
`java.util.SplittableRandom` of JDK 17: `split(streams, i)` is its i-th `split()`, `draw` its `nextLong()`.

Source: Steele, Lea and Flood: Fast splittable pseudorandom number generators. OOPSLA 2014, doi:10.1145/2660193.2660195.
(Philox of Salmon et al., SC 2011, doi:10.1145/2063384.2063405, counts as well; it takes ten rounds of multiplications
where this takes one and a half, which is most of the time of noise.)
"""

from __future__ import annotations

import functools
import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.buffers import BUFFERS

Words = NDArray[np.uint64]

GOLDEN_GAMMA = 0x9E3779B97F4A7C15
MAXIMAL_SEED = 2**64 - 1
MAXIMAL_CHOICES = 2**32
_MIX_64 = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_MIX_GAMMA = ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53))
_FEWEST_CHANGES = 24
_BLOCK_WORDS = 1 << 14
"""Draws mixed at a time: 128 KiB, so that the passes over them stay in the processor's cache."""
_DRAWN_WORDS = 1 << 16
"""Draws for noise at a time, 512 KiB."""
_NORMALS_PER_WORD = 4


@dataclass(frozen=True)
class Streams:
    """`len(streams)` streams; both arrays have the shape (streams,)."""

    states: Words
    gammas: Words

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, chosen: Any) -> Streams:
        return Streams(self.states[chosen], self.gammas[chosen])


def seeded(seed: int) -> Streams:
    """The one stream of a seed from 0 to 2**64 - 1."""
    return Streams(np.array([seed], np.uint64), np.array([GOLDEN_GAMMA], np.uint64))


def split(streams: Streams, indices: Any) -> Streams:
    """The streams that are split off at these places, counted from 0.

    Args:
        streams: one, or as many as there are indices.
        indices: whole numbers from 0 to 2**63 - 1, shape (n,).
    """
    doubled = np.asarray(indices, np.uint64) * np.uint64(2)
    states = streams.states + (doubled + np.uint64(1)) * streams.gammas
    gammas = streams.states + (doubled + np.uint64(2)) * streams.gammas
    _mix(states, _MIX_64, 31)
    return Streams(states, _odd_gammas(gammas))


def draw(streams: Streams, count: int, first: int = 0) -> Words:
    """Draws `first` to `first + count - 1` of each stream: 64 random bits each, shape (streams, count)."""
    numbers = np.arange(first + 1, first + count + 1, dtype=np.uint64)
    words = BUFFERS.array((len(streams), count), np.dtype(np.uint64))
    np.multiply(numbers, streams.gammas[:, None], out=words)
    words += streams.states[:, None]
    _mix(words, _MIX_64, 31)
    return words


def uniforms(streams: Streams, count: int, first: int = 0) -> NDArray[np.float64]:
    """Draws as multiples of 2**-53 in [0, 1), shape (streams, count)."""
    return (draw(streams, count, first) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def choices(words: Words, counts: Any) -> NDArray[np.int64]:
    """Draws as whole numbers from 0 to `counts - 1`; each as likely as the others to within `counts / 2**32`.

    By multiplication: Lemire, ACM Transactions on Modeling and Computer Simulation 29 (2019), doi:10.1145/3230636.

    Args:
        words: of `draw`.
        counts: 1 to 2**32, of a shape that `words` can be broadcast with.
    """
    high = words >> np.uint64(32)
    return ((high * np.asarray(counts, np.uint64)) >> np.uint64(32)).astype(np.int64)


def add_normals(rows: NDArray[Any], streams: Streams, scale: float, first: int = 0) -> None:
    """Add normally distributed numbers of mean 0 and standard deviation `scale` in place, four from each draw.

    They are the 2**16 quantiles of the normal distribution, so that none is beyond 4.33 standard deviations, and every
    machine computes the same ones: only whole numbers and a table are used.

    Args:
        rows: float32 or float64, shape (streams, n).
        streams: one per row.
        scale: standard deviation.
        first: the first draw taken; `n / 4` are, rounded up.
    """
    table = _scaled_quantiles(float(scale), rows.dtype)
    words_per_row = -(-rows.shape[1] // _NORMALS_PER_WORD)
    words_per_block = max(1, min(words_per_row, _DRAWN_WORDS))
    rows_per_block = _DRAWN_WORDS // words_per_block
    indices = BUFFERS.array((words_per_block * _NORMALS_PER_WORD,), np.dtype(np.intp))
    normals = BUFFERS.array(indices.shape, rows.dtype)
    for top in range(0, len(rows), rows_per_block):
        part = streams[top : top + rows_per_block]
        for word in range(0, words_per_row, words_per_block):
            words = draw(part, min(words_per_block, words_per_row - word), first + word)
            quarters = words.astype("<u8", copy=False).view("<u2")
            places = rows[top : top + rows_per_block, word * _NORMALS_PER_WORD :][:, : quarters.shape[1]]
            count = places.shape[1]
            for place, numbers in zip(places, quarters, strict=True):
                np.copyto(indices[:count], numbers[:count])
                table.take(indices[:count], mode="clip", out=normals[:count])
                np.add(place, normals[:count], out=place)


@functools.lru_cache(8)
def _scaled_quantiles(scale: float, dtype: np.dtype[Any]) -> NDArray[Any]:
    return (normal_quantiles() * scale).astype(dtype)


@functools.cache
def normal_quantiles() -> NDArray[np.float64]:
    """2**16 equally likely numbers whose distribution is normal, with mean 0 and standard deviation 1 exactly.

    The quantiles of (i + 1/2) / 2**16 by Wichura's algorithm AS 241 (Applied Statistics 37, 1988), divided by their
    standard deviation, which lacks 3 parts in 100,000.
    """
    half = 1 << 15
    inverse = statistics.NormalDist().inv_cdf
    upper = np.array([inverse(0.5 + (number + 0.5) / (2 * half)) for number in range(half)])
    table = np.concatenate([-upper[::-1], upper])
    return np.asarray(table / np.sqrt(np.mean(table**2)))


def _mix(words: Words, rounds: tuple[tuple[int, int], ...], last_shift: int | None) -> None:
    """Mix in place, in blocks that stay in the cache."""
    flat = words.reshape(-1)
    shifted = np.empty(min(len(flat), _BLOCK_WORDS), np.uint64)
    for begin in range(0, len(flat), _BLOCK_WORDS):
        block = flat[begin : begin + _BLOCK_WORDS]
        other = shifted[: len(block)]
        for shift, factor in rounds:
            np.right_shift(block, np.uint64(shift), out=other)
            block ^= other
            block *= np.uint64(factor)
        if last_shift is not None:
            np.right_shift(block, np.uint64(last_shift), out=other)
            block ^= other


def _odd_gammas(words: Words) -> Words:
    """Increments whose bits change often enough, as in section 5 of the paper."""
    _mix(words, _MIX_GAMMA, None)
    words = (words ^ (words >> np.uint64(33))) | np.uint64(1)
    changes = words ^ (words >> np.uint64(1))
    counts = np.unpackbits(np.ascontiguousarray(changes).view(np.uint8).reshape(len(words), 8), axis=1).sum(axis=1)
    return np.where(counts < _FEWEST_CHANGES, words ^ np.uint64(0xAAAAAAAAAAAAAAAA), words)

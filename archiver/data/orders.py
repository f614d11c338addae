"""In which order samples come in an epoch: functions of (seed, epoch) alone, so that any epoch can be repeated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def epoch_order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order of `count` samples in an epoch: a permutation by PCG64, seeded with (seed, epoch).

    Depends on nothing else, so that any epoch of any run can be repeated on its own.
    """
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(count)


def block_order(count: int, block_size: int, pool_size: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """An order in which samples that are read shortly after each other lie near each other.

    The blocks of `block_size` samples, which lie one behind the other, come in the order `epoch_order(blocks, ...)`;
    each `pool_size` blocks that follow each other in it form a pool, whose samples are permuted by PCG64, seeded with
    (seed, epoch, 1 + number of the pool).

    Args:
        count: samples; the last block may be smaller.
        block_size: samples in a block.
        pool_size: blocks that are mixed with each other.
        seed: as in `epoch_order`.
        epoch: likewise.
    """
    blocks = epoch_order(-(-count // block_size), seed, epoch)
    order = (blocks[:, None] * block_size + np.arange(block_size)).ravel()
    begins, lengths = pool_bounds(count, block_size, pool_size, blocks)
    order = order[order < count]
    for pool, (begin, length) in enumerate(zip(begins, lengths, strict=True)):
        generator = np.random.Generator(np.random.PCG64([seed, epoch, 1 + pool]))
        order[begin : begin + length] = generator.permutation(order[begin : begin + length])
    return order


def pool_bounds(
    count: int, block_size: int, pool_size: int, blocks: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each pool begins in the order, and how many samples it has; `blocks` is the order of the blocks."""
    sizes = np.minimum(block_size, count - blocks * block_size)
    lengths = np.add.reduceat(sizes, np.arange(0, len(sizes), pool_size))
    return np.cumsum(lengths) - lengths, lengths

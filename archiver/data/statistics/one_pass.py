"""`data_statistics`: everything in one pass, whatever the size of the data."""

from __future__ import annotations

import collections
import contextlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.collect.channels import ChannelStatistics
from archiver.collect.labels import class_distribution
from archiver.collect.numbers import is_real, raw_bytes
from archiver.collect.quantiles import QuantileCounts
from archiver.data.statistics.blocks import named_blocks, pieces, total_windows
from archiver.errors import ArgumentError, DataError
from archiver.progress import DelayedBar
from archiver.records.base import Unavailable
from archiver.storage.digests import hasher
from archiver.storage.jsonable import jsonable

SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
LOOKAHEAD = 4
MAXIMAL_LABELS = 1 << 26
"""Rows of labels that are kept for the classes."""


@dataclass(frozen=True, eq=False)
class ArrayStatistics:
    """Statistics of the numbers of one array, or of one input of batches.

    Attributes:
        shape: windows first; None where batches differ.
        dtype: NumPy's name.
        element_count: all numbers.
        minimum, maximum: of the numbers that are not NaN; NaN of none.
        mean, standard_deviation: of the finite numbers, in float64, divided by their count.
        missing: NaN. infinite: plus and minus infinity. zero_count: numbers that are 0.
        channel_mean, channel_standard_deviation, channel_minimum, channel_maximum: shape (channels,), float64, along
            the second axis; empty for arrays of one axis.
        quantiles: by share, the finite number of rank ceil(share * count).
        quantile_relative_error: by how much a quantile may be off, relative to it; 0: it is exact.
        blake3: of all bytes, little-endian and in C order.
    """

    shape: tuple[int | None, ...]
    dtype: str
    element_count: int
    minimum: float
    maximum: float
    mean: float
    standard_deviation: float
    missing: int
    infinite: int
    zero_count: int
    channel_mean: NDArray[np.float64]
    channel_standard_deviation: NDArray[np.float64]
    channel_minimum: NDArray[np.float64]
    channel_maximum: NDArray[np.float64]
    quantiles: dict[float, float]
    quantile_relative_error: float
    blake3: str


@dataclass(frozen=True, eq=False)
class DataStatistics:
    """Statistics of a data set.

    Attributes:
        window_count: windows.
        arrays: by name: `x`, or `x/...` for several inputs, `y`, `sample_weight`; arrays of numbers only.
        classes: by target, samples per class as a record has them; nothing for targets that are no classes.
        elapsed_seconds: of the pass.
    """

    window_count: int
    arrays: dict[str, ArrayStatistics]
    classes: dict[str, Any]
    elapsed_seconds: float

    def described(self) -> dict[str, Any]:
        """JSON values."""
        arrays = {name: dict(jsonable(vars(each))) for name, each in self.arrays.items()}
        for each in arrays.values():
            each["quantiles"] = {str(share): value for share, value in each["quantiles"].items()}
        return {
            "window_count": self.window_count,
            "arrays": arrays,
            "classes": {name: found.model_dump(mode="json") for name, found in self.classes.items()},
            "elapsed_seconds": self.elapsed_seconds,
        }


def data_statistics(
    data: Any, labels: Any = None, *, quantiles: Sequence[float] = SHARES, progress: bool = False
) -> DataStatistics:
    """Counts, range, moments by channel, quantiles, classes and a fingerprint of data of any size, in one pass.

    Memory holds some megabytes of the data at a time. Moments are in float64, blocks joined pairwise (Chan, Golub and
    LeVeque 1979). Quantiles are exact for whole numbers of up to 16 bits, else within 2**-10 of their value
    (`archiver.collect.quantiles`). The result does not depend on the number of threads.

    Args:
        data: an array, a memory map, windows, or batches: a tf.data pipeline, a PyDataset, any iterable of `x`,
            `(x, y)` or `(x, y, sample_weight)`, which is read once to its end.
        labels: one row per window of arrays; None: those of windows that have some.
        quantiles: shares from 0 to 1; none: they are left out, which is faster.
        progress: show a bar after a second, on a terminal.

    Raises:
        ArgumentError: data of no such kind, or a share that cannot be.
        DataError: there is nothing, it never ends, or its batches do not go together.
    """
    if any(not 0 <= share <= 1 for share in quantiles):
        raise ArgumentError(f"Received quantiles={list(quantiles)!r}. Expected shares from 0 to 1.")
    began = time.perf_counter()
    found: dict[str, _Array] = {}
    count = 0
    with _bar(progress, total_windows(data)) as bar, _Workers() as workers:
        for blocks in named_blocks(data, labels):
            lengths = {len(block) if block.ndim else 0 for block in blocks.values()}
            if len(lengths) != 1:
                raise DataError(
                    f"Received a batch of {sorted(lengths)} windows. Expected the same number in all parts."
                )
            for name, block in blocks.items():
                found.setdefault(name, _Array(name, block, list(quantiles))).update(block, workers)
            length = lengths.pop()
            count += length
            bar.advance(length)
        workers.finish()
    if not count:
        raise DataError("Received data without windows. Expected at least one.")
    classes = {name: each.classes() for name, each in found.items()}
    return DataStatistics(
        window_count=count,
        arrays={name: each.statistics(count) for name, each in found.items() if each.channels is not None},
        classes={name: each for name, each in classes.items() if each is not None},
        elapsed_seconds=time.perf_counter() - began,
    )


@contextlib.contextmanager
def _bar(progress: bool, total: int | None) -> Iterator[DelayedBar]:
    bar = DelayedBar("statistics", total)
    if progress:
        with bar:
            yield bar
    else:
        yield bar


class _Workers:
    """Three threads, each with its own share of the work on every piece, in the order of the pieces."""

    def __init__(self) -> None:
        self._pools = [ThreadPoolExecutor(1, thread_name_prefix="archiver-statistics") for _ in range(3)]
        self._pending: collections.deque[Future[None]] = collections.deque()

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in self._pools:
            pool.shutdown(cancel_futures=True)

    def submit(self, which: int, work: Any, piece: NDArray[Any]) -> None:
        """Give one of them something to do; waits while too much is waiting."""
        self._pending.append(self._pools[which].submit(work, piece))
        while len(self._pending) > 3 * LOOKAHEAD:
            self._pending.popleft().result()

    def finish(self) -> None:
        """Wait for all; raises what was raised."""
        while self._pending:
            self._pending.popleft().result()


@dataclass
class _Array:
    """An array in the making."""

    name: str
    first: NDArray[Any]
    shares: list[float]
    channels: ChannelStatistics | None = field(init=False)
    kept_labels: list[NDArray[Any]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        first, dtype = self.first, self.first.dtype
        self.dtype, self.trailing, self.first = dtype, first.shape[1:], first[:0]
        self.channels = ChannelStatistics(first.shape[1] if first.ndim > 1 else 1) if is_real(dtype) else None
        self.counts = QuantileCounts(dtype) if self.shares and self.channels is not None else None
        self.digest = hasher("blake3")
        self.is_target = self.name == "y" or self.name.startswith("y/")
        self.is_even = True

    def update(self, block: NDArray[Any], workers: _Workers) -> None:
        """Add windows."""
        if block.dtype != self.dtype or block.shape[1:2] != self.trailing[:1]:
            raise DataError(
                f"Received {self.name} of {block.dtype}, {block.shape[1:]} a window. Expected {self.dtype}, "
                f"{self.trailing}, as in the first batch."
            )
        if block.dtype.hasobject:
            raise DataError(f"Received Python objects as {self.name}. Expected numbers or texts.")
        self.is_even = self.is_even and block.shape[1:] == self.trailing
        if self.is_target:
            self.kept_labels.append(block.copy())
        for piece in pieces(block):
            if self.channels is not None:
                workers.submit(0, self.channels.update, piece)
            workers.submit(1, self._hash, piece)
            if self.counts is not None:
                workers.submit(2, self.counts.update_finite, piece)

    def _hash(self, piece: NDArray[Any]) -> None:
        self.digest.update(raw_bytes(piece))

    def classes(self) -> Any:
        if not self.is_target:
            return None
        found = class_distribution(np.concatenate(self.kept_labels))
        return None if isinstance(found, Unavailable) else found

    def statistics(self, count: int) -> ArrayStatistics:
        channels = self.channels
        assert channels is not None
        mean, deviation = channels.whole()
        low, high = float(channels.minimum.min(initial=np.inf)), float(channels.maximum.max(initial=-np.inf))
        values = [] if self.counts is None else self.counts.quantiles(self.shares)
        has_channels = bool(self.trailing)
        return ArrayStatistics(
            shape=(count, *(self.trailing if self.is_even else (self.trailing[0], *[None] * (len(self.trailing) - 1)))),
            dtype=str(self.dtype),
            element_count=channels.element_count,
            minimum=low if low <= high else float("nan"),
            maximum=high if low <= high else float("nan"),
            mean=mean if channels.counts.any() else float("nan"),
            standard_deviation=deviation if channels.counts.any() else float("nan"),
            missing=int(channels.missing.sum()),
            infinite=int(channels.infinite.sum()),
            zero_count=channels.zeros,
            channel_mean=channels.mean if has_channels else np.empty(0),
            channel_standard_deviation=channels.standard_deviation if has_channels else np.empty(0),
            channel_minimum=channels.minimum if has_channels else np.empty(0),
            channel_maximum=channels.maximum if has_channels else np.empty(0),
            quantiles={share: min(max(value, low), high) for share, value in zip(self.shares, values, strict=False)},
            quantile_relative_error=0.0 if self.counts is None else self.counts.relative_error,
            blake3=self.digest.hexdigest(),
        )

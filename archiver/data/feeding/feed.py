"""`Feed`: which windows each batch of each epoch holds, and the arrays it is made of. Needs no Keras.

A batch depends on (seed, epoch, its number in the epoch) alone: batches may be made in any order, by any thread, again
in another process, and training can go on anywhere without the batches before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from archiver.data.feeding.joining import JoinedWindows
from archiver.data.feeding.splits import Selection, numbers_digest
from archiver.data.feeding.window_file import RawWindows, checked_numbers
from archiver.data.orders import block_order, epoch_order
from archiver.data.windows import Windows, as_windows
from archiver.errors import ArgumentError, DataError

Shuffle = Literal["windows", "blocks", False]
POOL_BLOCKS = 16
"""Blocks that are mixed with each other."""


class Augmentation(Protocol):
    """Changes windows as they are read."""

    def apply(self, windows: NDArray[Any], numbers: NDArray[np.int64], epoch: int) -> NDArray[Any]:
        """The changed windows, of the same shape and type: a function of the windows, their numbers and the epoch.

        Args:
            windows: shape (len(numbers), ...); may be changed in place.
            numbers: of each, in its source.
            epoch: passes over the data set that came before.
        """


class Feed:
    """The batches of every epoch.

    Args:
        inputs: by name, sources of equally many windows; the only one of a model with one input under the name "".
        labels: one row per window of the sources, or None.
        sample_weight: one weight per window of the sources, or None.
        numbers: the windows that are fed, in the order in which they are fed without shuffling.
        batch_size: windows in a batch.
        seed: decides the order of every epoch.
        shuffle: by windows, by blocks, or not.
        block_size: windows in a block.
        drop_remainder: leave out the last batch when it is smaller.
        augment: by input, what changes it.
    """

    def __init__(
        self,
        inputs: Mapping[str, Windows],
        labels: NDArray[Any] | None,
        sample_weight: NDArray[Any] | None,
        numbers: NDArray[np.int64],
        *,
        batch_size: int,
        seed: int,
        shuffle: Shuffle,
        block_size: int,
        drop_remainder: bool,
        augment: Mapping[str, Augmentation],
    ) -> None:
        self.inputs, self.labels, self.sample_weight, self.numbers = inputs, labels, sample_weight, numbers
        self.batch_size, self.seed, self.shuffle, self.block_size = batch_size, seed, shuffle, block_size
        self.drop_remainder, self.augment = drop_remainder, augment
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        count = len(self.numbers)
        return count // self.batch_size if self.drop_remainder else -(-count // self.batch_size)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The window numbers of an epoch, in their order; that of the last epoch asked for is kept."""
        kept = self._order
        if kept is None or kept[0] != epoch:
            kept = self._order = (epoch, self.numbers[self._positions(epoch)] if self.shuffle else self.numbers)
        return kept[1]

    def _positions(self, epoch: int) -> NDArray[np.int64]:
        count = len(self.numbers)
        if self.shuffle == "blocks":
            return block_order(count, self.block_size, POOL_BLOCKS, self.seed, epoch)
        return epoch_order(count, self.seed, epoch)

    def batch_numbers(self, epoch: int, index: int) -> NDArray[np.int64]:
        """The window numbers of a batch."""
        return self.order(epoch)[index * self.batch_size : (index + 1) * self.batch_size]

    def batch(self, epoch: int, index: int) -> Any:
        """The batch as Keras takes it: `x`, `(x, y)` or `(x, y, sample_weight)`; a dict for several inputs."""
        numbers = self.batch_numbers(epoch, index)
        self.announce(epoch, index)
        labels = None if self.labels is None else self.labels[numbers]
        inputs: dict[str, NDArray[Any]] = {}
        for name in self.inputs:
            inputs[name], labels = self.read(name, numbers, epoch, labels)
        return self._assembled(inputs, labels, numbers)

    def empty_batch(self) -> Any:
        """A batch of no windows: its structure, shapes and types."""
        inputs = {name: np.empty((0, *each.shape[1:]), each.dtype) for name, each in self.inputs.items()}
        return self._assembled(inputs, None if self.labels is None else self.labels[:0], np.arange(0))

    def _assembled(self, inputs: dict[str, NDArray[Any]], labels: Any, numbers: NDArray[np.int64]) -> Any:
        x = inputs.get("", inputs)
        weights = None if self.sample_weight is None else self.sample_weight[numbers]
        rest = [part for part in (labels, weights) if part is not None]
        return (x, *rest) if rest else x

    def read(
        self, name: str, numbers: NDArray[np.int64], epoch: int, labels: NDArray[Any] | None = None
    ) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """The windows of an input as they are fed, and the labels, which its augmentation may change too.

        Raises:
            DataError: the augmentation returned another shape or type.
        """
        windows = self.inputs[name].read(numbers)
        if name not in self.augment:
            return windows, labels
        augment = self.augment[name]
        if labels is not None and changes_labels(augment):
            changed, labels = augment.apply_with_labels(windows, labels, numbers, epoch)  # type: ignore[attr-defined]
        else:
            changed = augment.apply(windows, numbers, epoch)
        if changed.shape != windows.shape or changed.dtype != windows.dtype:
            raise DataError(
                f"Received {changed.dtype} windows of shape {changed.shape} from the augmentation of {name or 'x'!r}. "
                f"Expected {windows.dtype}, {windows.shape}, as it was given them."
            )
        return changed, labels

    def announce(self, epoch: int, index: int) -> None:
        """Where the batch begins a pool of blocks, have the kernel fetch this and the next one."""
        if self.shuffle != "blocks":
            return
        pool_windows = POOL_BLOCKS * self.block_size
        begin, end = index * self.batch_size, (index + 1) * self.batch_size
        pool = -(-begin // pool_windows)
        if pool * pool_windows < end:
            order = self.order(epoch)
            ahead = order[(pool + bool(begin)) * pool_windows : (pool + 2) * pool_windows]
            for windows in self.inputs.values():
                if len(ahead) and isinstance(windows, RawWindows | JoinedWindows):
                    windows.announce(ahead)

    def described(self) -> dict[str, Any]:
        """What an archive records of it: JSON values."""
        blocks = {"block_size": self.block_size, "pool_blocks": POOL_BLOCKS} if self.shuffle == "blocks" else {}
        return {
            "inputs": {name or "x": windows.described() for name, windows in self.inputs.items()},
            "windows": len(self.numbers),
            "numbers_sha256": numbers_digest(self.numbers),
            "batch_size": self.batch_size,
            "drop_remainder": self.drop_remainder,
            "shuffle": self.shuffle,
            **blocks,
            "seed": self.seed if self.shuffle else None,
            "sample_weights": self.sample_weight is not None,
            "augmentation": {name or "x": _augmentation(each) for name, each in self.augment.items()},
        }


def changes_labels(augment: Augmentation) -> bool:
    """Whether labels are given to it too: it has `changes_labels`, which is true, and `apply_with_labels`."""
    return bool(getattr(augment, "changes_labels", False))


def _augmentation(augment: Augmentation) -> Any:
    describe = getattr(augment, "described", None)
    return describe() if callable(describe) else {"class": type(augment).__qualname__}


# -- what the user gave


def make_feed(
    source: Any,
    *,
    batch_size: int,
    seed: int | None,
    shuffle: Shuffle,
    block_size: int,
    labels: Any,
    sample_weight: Any,
    numbers: Any,
    augment: Any,
    drop_remainder: bool,
) -> Feed:
    """Check the arguments of `window_batches`, which says what they are.

    Raises:
        ArgumentError: an argument cannot be.
        DataError: sources, labels, weights or numbers do not go together.
    """
    _require_count("batch_size", batch_size)
    _require_count("block_size", block_size)
    if shuffle not in ("windows", "blocks", False):
        raise ArgumentError(f'Received shuffle={shuffle!r}. Expected "windows", "blocks" or False.')
    if shuffle and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise ArgumentError(f"Received seed={seed!r} with shuffle={shuffle!r}. Expected a whole number of at least 0.")
    inputs = _inputs(source)
    count = next(iter(inputs.values())).shape[0]
    rows = _labels(inputs, labels, count)
    weights = None if sample_weight is None else _weights(sample_weight, count)
    if weights is not None and rows is None:
        raise ArgumentError("Received sample_weight for windows without labels. Expected both.")
    augmentations = _augmentations(augment, inputs)
    _require_labels_that_mix([name for name, each in augmentations.items() if changes_labels(each)], rows)
    return Feed(
        inputs,
        rows,
        weights,
        _numbers(numbers, count),
        batch_size=batch_size,
        seed=seed or 0,
        shuffle=shuffle,
        block_size=block_size,
        drop_remainder=drop_remainder,
        augment=augmentations,
    )


def _require_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArgumentError(f"Received {name}={value!r}. Expected a whole number of at least 1.")


def _inputs(source: Any) -> dict[str, Windows]:
    named = dict(source) if isinstance(source, Mapping) else {"": source}
    if not named or any(not isinstance(name, str) for name in named):
        raise ArgumentError(f"Received inputs of the names {list(named)!r}. Expected texts, as the model has.")
    inputs = {name: _joined(each) for name, each in named.items()}
    counts = {name or "x": windows.shape[0] for name, windows in inputs.items()}
    if len(set(counts.values())) != 1 or not next(iter(counts.values())):
        raise DataError(f"Received {counts} windows. Expected the same number, at least 1, for each input.")
    return inputs


def _joined(source: Any) -> Windows:
    return JoinedWindows(source) if isinstance(source, list | tuple) else as_windows(source)


def _labels(inputs: Mapping[str, Windows], labels: Any, count: int) -> NDArray[Any] | None:
    if labels is False:
        return None
    if labels is True:
        return next((each.labels for each in inputs.values() if each.labels is not None), None)
    rows = np.asarray(labels)
    if rows.ndim == 0 or len(rows) != count or rows.dtype.hasobject:
        raise DataError(f"Received labels of shape {rows.shape}, {rows.dtype}. Expected {count} rows.")
    return rows


def _weights(sample_weight: Any, count: int) -> NDArray[Any]:
    weights = np.asarray(sample_weight, np.float32)
    if weights.shape != (count,):
        raise DataError(f"Received sample_weight of shape {weights.shape}. Expected ({count},), one for each window.")
    if not np.isfinite(weights).all():
        first = int(np.flatnonzero(~np.isfinite(weights))[0])
        raise DataError(f"Received sample_weight[{first}]={weights[first]}. Expected finite numbers.")
    return weights


def _numbers(numbers: Any, count: int) -> NDArray[np.int64]:
    if numbers is None:
        return np.arange(count)
    array = np.asarray(numbers)
    if array.ndim != 1 or array.dtype.kind not in "iu" or not len(array):
        raise DataError(f"Received numbers of shape {array.shape}, {array.dtype}. Expected at least one whole number.")
    try:
        return checked_numbers(array, count).copy()
    except IndexError as error:
        raise DataError(f"Received numbers= of windows that are not there: {error}.") from error


def _augmentations(augment: Any, inputs: Mapping[str, Windows]) -> dict[str, Augmentation]:
    if augment is None:
        return {}
    named = dict(augment) if isinstance(augment, Mapping) else {next(iter(inputs)): augment}
    if not isinstance(augment, Mapping) and len(inputs) > 1:
        raise ArgumentError(f"Received one augmentation for the inputs {list(inputs)}. Expected a dict by input.")
    unknown = [name for name in named if name not in inputs]
    wrong = [name for name, each in named.items() if not callable(getattr(each, "apply", None))]
    if unknown or wrong:
        raise ArgumentError(
            f"Received augment= for {unknown or wrong}. Expected objects with apply(windows, numbers, epoch), by the "
            f"names of inputs: {list(inputs)}."
        )
    return named


def _require_labels_that_mix(names: list[str], labels: NDArray[Any] | None) -> None:
    if len(names) > 1:
        raise ArgumentError(f"Received augment= that mixes labels for the inputs {names}. Expected it for one of them.")
    if names and labels is not None and labels.dtype.kind != "f":
        raise DataError(
            f"Received labels of {labels.dtype} with an augmentation that mixes them. Expected float rows, such as "
            "keras.utils.to_categorical makes; give them as labels=, and as Mixing(labels=)."
        )


def split_of(numbers: Any) -> Mapping[str, Any] | None:
    """How the windows were chosen, where `numbers` tells."""
    return numbers.described if isinstance(numbers, Selection) else None

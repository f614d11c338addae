"""`window_batches`: windows on disk as a data set for `fit`, shuffled anew in each epoch, exactly so again."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from numpy.typing import NDArray

from archiver.collect.arrays import BLOCK_BYTES
from archiver.collect.data import WindowSource
from archiver.data.feeding.feed import Feed, Shuffle, make_feed, split_of
from archiver.errors import ArgumentError


def window_batches(
    source: Any,
    *,
    batch_size: int = 32,
    seed: int | None = None,
    shuffle: Shuffle = "windows",
    block_size: int = 64,
    labels: NDArray[Any] | bool = True,
    sample_weight: Any = None,
    numbers: Any = None,
    augment: Any = None,
    drop_remainder: bool = False,
    form: Literal["fastest", "pydataset"] = "fastest",
) -> Any:
    """The fastest seeded data set of windows that the backend has: tf.data on TensorFlow, else a PyDataset.

    Only the windows of a few batches are in memory at a time. The order of an epoch, and what `augment` does in it,
    depend on `seed` and on the number of the pass, from 0: a PyDataset ends a pass with each epoch of `fit`; a tf.data
    pipeline begins one with each, and one before the first where Keras has to build the model with a batch. A run that
    was cut off goes on where it was, without reading the epochs before.

    Args:
        source: windows or an array, shape (windows, ...); a list of these, read as one; or a dict of either by the
            names of the model's inputs, whose windows of one number belong together.
        batch_size: windows in a batch.
        seed: decides the order of every epoch; required where there is shuffling.
        shuffle: `"windows"`, any order; `"blocks"`, in which what is read together lies together, for disks that are
            slow at random reads; False, in the order of `numbers`.
        block_size: with `"blocks"`, windows that lie one behind the other; 16 such blocks are mixed with each other.
        labels: True, those of the windows (of the first input that has some); False, none; or one row per window of
            the source.
        sample_weight: one finite weight per window of the source; needs labels.
        numbers: the windows to feed, such as a `Selection` of `split_by_group`; None: all.
        augment: an `Augmentation`, or another object with `apply(windows, numbers, epoch)`; for several inputs a dict
            of these by name. Where one mixes windows, the labels are mixed with those of its input; weights are not.
        drop_remainder: leave out the last batch when it is smaller.
        form: `"pydataset"` where one is wanted on TensorFlow too.

    Raises:
        ArgumentError: an argument that cannot be, such as a batch size below 1 or no seed.
        DataError: labels, weights, numbers or inputs that do not go together, or no windows.
    """
    if form not in ("fastest", "pydataset"):
        raise ArgumentError(f'Received form={form!r}. Expected "fastest" or "pydataset".')
    feed = make_feed(
        source,
        batch_size=batch_size,
        seed=seed,
        shuffle=shuffle,
        block_size=block_size,
        labels=labels,
        sample_weight=sample_weight,
        numbers=numbers,
        augment=augment,
        drop_remainder=drop_remainder,
    )
    dataset = _made(feed, form)
    dataset.archiver_source = source_of_feed(feed, split_of(numbers))
    return dataset


def _made(feed: Feed, form: str) -> Any:
    import keras

    if form == "fastest" and keras.backend.backend() == "tensorflow":
        from archiver.data.feeding.pipeline import tf_data_of

        return tf_data_of(feed)
    from archiver.data.feeding.py_dataset import WindowDataset

    return WindowDataset(feed)


def source_of_feed(feed: Feed, split: Mapping[str, Any] | None) -> WindowSource:
    """What an archive needs to know of the data set."""
    numbers, first = feed.numbers, next(iter(feed.inputs.values()))
    groups = {kind: names for each in reversed(list(feed.inputs.values())) for kind, names in each.groups.items()}
    count = len(feed) * feed.batch_size if feed.drop_remainder else len(numbers)
    return WindowSource(
        sample_count=min(count, len(numbers)),
        batch_count=len(feed),
        batch_size=feed.batch_size,
        inputs=tuple(
            (f"x/{name}" if name else "x", (len(numbers), *each.shape[1:]), str(each.dtype))
            for name, each in feed.inputs.items()
        ),
        blocks=functools.partial(_blocks, feed),
        labels=None if feed.labels is None else feed.labels[numbers],
        sample_weight=None if feed.sample_weight is None else feed.sample_weight[numbers],
        groups={kind: names[numbers] for kind, names in groups.items() if len(names) == first.shape[0]},
        described={**feed.described(), "split": None if split is None else dict(split)},
    )


def _blocks(feed: Feed, name: str) -> Iterator[NDArray[Any]]:
    """The windows of an input, whatever changes them in training."""
    windows, numbers = feed.inputs[name.removeprefix("x").removeprefix("/")], feed.numbers
    window_bytes = math.prod(windows.shape[1:]) * windows.dtype.itemsize
    step = max(1, BLOCK_BYTES // max(1, window_bytes))
    for begin in range(0, len(numbers), step):
        yield windows.read(numbers[begin : begin + step])

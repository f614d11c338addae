"""Describing windows on disk: read once, a megabyte at a time, however many there are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from archiver.collect.arrays import describe_array, describe_blocks
from archiver.collect.channels import ChannelStatistics
from archiver.collect.data import WindowSource
from archiver.collect.labels import class_distribution
from archiver.collect.numbers import Array, is_real, little_endian
from archiver.collect.quantiles import QuantileCounts
from archiver.collect.samples import MAXIMAL_SAMPLES, RowHashes, samples_of
from archiver.collect.splits import DescribedSplit
from archiver.records.base import Unavailable
from archiver.records.dataset import ArrayPart, ChannelsPart, GroupsPart, QuantilesPart, SplitPart

MAXIMAL_GROUPS = 1000
MAXIMAL_CHANNELS = 1000
QUANTILE_SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def describe_windows(type_name: str, source: WindowSource, *, maximal_samples: int = MAXIMAL_SAMPLES) -> DescribedSplit:
    """Describe windows on disk, which are read once, a megabyte at a time; their labels and weights in full."""
    wanting = f"more than {maximal_samples:,} samples" if source.sample_count > maximal_samples else None
    hashes = {name: RowHashes() for name, _, _ in source.inputs if not wanting}
    inputs = [_describe_input(source, each, hashes) for each in source.inputs]
    targets = RowHashes()
    labels = None if source.labels is None else describe_array("y", source.labels, targets.update)
    weights = None if source.sample_weight is None else describe_array("sample_weight", source.sample_weight)
    layout = [(name, shape[1:], str(np.dtype(dtype).newbyteorder("<"))) for name, shape, dtype in source.inputs]
    samples = (
        Unavailable(unavailable=wanting)
        if wanting
        else samples_of(layout, list(hashes.values()), [] if labels is None else [targets])
    )
    without = Unavailable(unavailable="there are no targets")
    part = SplitPart(
        kind="windows",
        type=type_name,
        sample_count=source.sample_count,
        batch_count=source.batch_count,
        batch_size=source.batch_size,
        samples_fingerprint=samples if isinstance(samples, Unavailable) else samples.fingerprint,
        arrays=tuple(each for each in (*inputs, labels, weights) if each is not None),
        classes=without if source.labels is None else {"y": class_distribution(source.labels)},
        groups={kind: _groups(names) for kind, names in source.groups.items()},
    )
    names = {kind: frozenset(np.unique(names).tolist()) for kind, names in source.groups.items()}
    return DescribedSplit(part, samples, groups=names)


def _describe_input(
    source: WindowSource, named: tuple[str, tuple[int, ...], str], hashes: Mapping[str, RowHashes]
) -> ArrayPart:
    name, shape, type_name = named
    dtype = np.dtype(type_name)
    channels = ChannelStatistics(shape[1]) if len(shape) > 1 and is_real(dtype) else None
    counts = QuantileCounts(dtype) if is_real(dtype) else None

    def also(block: Array) -> None:
        if name in hashes:
            hashes[name].update(block)
        if channels is not None:
            channels.update(block)
        if counts is not None:
            counts.update_finite(block)

    blocks = (little_endian(np.ascontiguousarray(block)) for block in source.blocks(name))
    part = describe_blocks(name, dtype, shape, blocks, also)
    return part.model_copy(update={"channels": _channels(channels), "quantiles": _quantiles(counts)})


def _channels(found: ChannelStatistics | None) -> ChannelsPart | None:
    if found is None:
        return None
    first = slice(0, MAXIMAL_CHANNELS)
    return ChannelsPart(
        channel_count=len(found.mean),
        mean=tuple(found.mean[first].tolist()),
        standard_deviation=tuple(found.standard_deviation[first].tolist()),
        minimum=tuple(found.minimum[first].tolist()),
        maximum=tuple(found.maximum[first].tolist()),
        missing=tuple(found.missing[first].tolist()),
        infinite=tuple(found.infinite[first].tolist()),
    )


def _quantiles(found: QuantileCounts | None) -> QuantilesPart | None:
    if found is None:
        return None
    values = dict(zip(map(str, QUANTILE_SHARES), found.quantiles(QUANTILE_SHARES), strict=True))
    return QuantilesPart(values=values, relative_error=found.relative_error)


def _groups(names: NDArray[np.str_]) -> GroupsPart:
    found, counts = np.unique(names, return_counts=True)
    shown = dict(zip(found[:MAXIMAL_GROUPS].tolist(), counts.tolist(), strict=False))
    return GroupsPart(group_count=len(found), counts=shown, left_out_count=len(found) - len(shown))

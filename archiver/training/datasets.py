"""Describing what was given to `fit` and to `finalize`, without iterating anything that can be consumed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import keras

from archiver.collect.data import ArraySource, as_array, class_counts, describe_array, named_arrays
from archiver.records.base import Unavailable
from archiver.records.dataset import ArrayPart, DataKind, DatasetStats, SplitPart
from archiver.storage.jsonable import qualified_name


def data_kind(x: Any) -> DataKind:
    """What kind of data set `x` is."""
    if source_of(x) is not None:
        return "array_batches"
    if isinstance(x, keras.utils.PyDataset):
        return "pydataset"
    if _is_tf_data(x):
        return "tf_data"
    leaves = named_arrays("x", x)
    if leaves and all(hasattr(leaf, "shape") or isinstance(leaf, list | tuple) for _, leaf in leaves):
        return "arrays"
    return "generator" if hasattr(x, "__next__") else "other"


def source_of(x: Any) -> ArraySource | None:
    """The arrays behind a data set of `archiver.data.array_batches`."""
    source = getattr(x, "archiver_source", None)
    return source if isinstance(source, ArraySource) else None


def _is_tf_data(x: Any) -> bool:
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(x, tensorflow.data.Dataset)


def describe_split(x: Any, y: Any = None, sample_weight: Any = None) -> SplitPart:
    """One split. Reads arrays in full (fingerprint, ranges), so it belongs on the background thread."""
    kind = data_kind(x)
    source = source_of(x)
    if source is not None:
        x, y, sample_weight = source.x, source.y, source.sample_weight
    if kind in ("arrays", "array_batches"):
        return _describe_arrays(kind, x, y, sample_weight)
    if kind == "tf_data":
        return _describe_tf_data(x)
    note = None if kind == "pydataset" else "looking at it would consume it"
    return SplitPart(
        kind=kind,
        type=qualified_name(type(x)),
        sample_count=Unavailable(unavailable="known only by iterating"),
        batch_count=_batch_count(x) if kind == "pydataset" else None,
        arrays=Unavailable(unavailable="known only by iterating"),
        class_counts=Unavailable(unavailable="known only by iterating"),
        note=note,
    )


def _describe_arrays(kind: DataKind, x: Any, y: Any, sample_weight: Any) -> SplitPart:
    named = [*named_arrays("x", x), *named_arrays("y", y), *named_arrays("sample_weight", sample_weight)]
    arrays = {name: as_array(value) for name, value in named}
    parts = tuple(describe_array(name, array) for name, array in arrays.items())
    counts = {len(array) for array in arrays.values() if array.ndim}
    targets = [array for name, array in arrays.items() if name == "y" or name.startswith("y/")]
    return SplitPart(
        kind=kind,
        type=qualified_name(type(x)),
        sample_count=counts.pop() if len(counts) == 1 else Unavailable(unavailable="the arrays differ in length"),
        arrays=parts,
        class_counts=class_counts(targets[0])
        if len(targets) == 1
        else Unavailable(unavailable=f"there are {len(targets)} targets"),
    )


def _describe_tf_data(dataset: Any) -> SplitPart:
    unknown = Unavailable(unavailable="known only by iterating")
    cardinality = int(dataset.cardinality())
    named = _named_specs("element", dataset.element_spec)
    arrays = tuple(
        ArrayPart(
            name=name,
            shape=tuple(spec.shape) if getattr(spec.shape, "rank", None) is not None else (),
            dtype=str(getattr(spec.dtype, "name", spec.dtype)),
            minimum=unknown,
            maximum=unknown,
            missing=unknown,
            sha256=unknown,
        )
        for name, spec in named
        if hasattr(spec, "shape") and hasattr(spec, "dtype")
    )
    return SplitPart(
        kind="tf_data",
        type=qualified_name(type(dataset)),
        sample_count=unknown,
        batch_count=cardinality if cardinality >= 0 else None,
        arrays=arrays,
        class_counts=unknown,
        note={-1: "infinite", -2: "its length is not known beforehand"}.get(cardinality),
    )


def _named_specs(prefix: str, spec: Any) -> list[tuple[str, Any]]:
    if isinstance(spec, Mapping):
        return [leaf for key in spec for leaf in _named_specs(f"{prefix}/{key}", spec[key])]
    if isinstance(spec, list | tuple):
        return [leaf for index, item in enumerate(spec) for leaf in _named_specs(f"{prefix}/{index}", item)]
    return [(prefix, spec)]


def _batch_count(dataset: Any) -> int | None:
    count = dataset.num_batches
    return int(count) if isinstance(count, int) and count >= 0 else None


Data = tuple[Any, Any, Any]
"""Inputs, targets and sample weights; the last two may be None."""


def as_data(value: Any) -> Data | None:
    """`(x, y, sample_weight)` of `(x, y)`, `(x, y, sample_weight)` or a data set; None for anything else."""
    if isinstance(value, tuple | list) and len(value) in (2, 3):
        return value[0], value[1], value[2] if len(value) > 2 else None  # noqa: PLR2004
    return (value, None, None) if data_kind(value) not in ("generator", "other") else None


def dataset_stats(splits: Mapping[str, SplitPart], class_names: tuple[str, ...] | None, source: Any) -> DatasetStats:
    """The record of all splits, with their shares."""
    known = {name: split.sample_count for name, split in splits.items() if isinstance(split.sample_count, int)}
    total = sum(known.values())
    complete = len(known) == len(splits) and total > 0
    return DatasetStats(
        splits=dict(splits),
        ratios={name: count / total for name, count in known.items()}
        if complete
        else Unavailable(unavailable="not every split's number of samples is known"),
        class_names=class_names,
        source=source,
    )

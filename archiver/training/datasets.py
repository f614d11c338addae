"""Describing what was given to `fit` and to `finalize`, without iterating anything that can be consumed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import keras

from archiver.collect.data import ArraySource, WindowSource, named_arrays, named_data
from archiver.collect.sameness import are_the_same, marks_of
from archiver.collect.samples import MAXIMAL_SAMPLES
from archiver.collect.splits import DescribedSplit, describe_arrays, unread_array
from archiver.collect.window_splits import describe_windows
from archiver.records.base import Unavailable
from archiver.records.dataset import DataKind, LoaderPart, SplitPart
from archiver.storage.jsonable import qualified_name
from archiver.training.pipelines import (
    describe_generator,
    describe_pipeline,
    describe_py_dataset,
    static_batch_size,
)

Data = tuple[Any, Any, Any]
"""Inputs, targets and sample weights; the last two may be None."""

_NOT_READ = Unavailable(unavailable="known only by iterating")
_BY_ITERATING = Unavailable(unavailable="known only by iterating; give the arrays behind it with data=")


def data_kind(x: Any) -> DataKind:
    """What kind of data set `x` is."""
    if source_of(x) is not None:
        return "array_batches"
    if windows_of(x) is not None:
        return "windows"
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


def windows_of(x: Any) -> WindowSource | None:
    """What is known of a data set of `archiver.data.window_batches`."""
    source = getattr(x, "archiver_source", None)
    return source if isinstance(source, WindowSource) else None


def _is_tf_data(x: Any) -> bool:
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(x, tensorflow.data.Dataset)


def as_data(value: Any) -> Data | None:
    """`(x, y, sample_weight)` of `(x, y)`, `(x, y, sample_weight)` or a data set; None for anything else."""
    if isinstance(value, tuple | list) and len(value) in (2, 3):
        return value[0], value[1], value[2] if len(value) > 2 else None  # noqa: PLR2004
    return (value, None, None) if data_kind(value) not in ("generator", "other") else None


def describe_split(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    maximal_samples: int = MAXIMAL_SAMPLES,
    earlier: Mapping[str, DescribedSplit] | None = None,
) -> DescribedSplit:
    """One split. Reads arrays in full (fingerprint, ranges), so it belongs on the background thread.

    Args:
        x: arrays, or a data set.
        y: targets of arrays.
        sample_weight: weights of arrays.
        batch_size: samples in a batch, where Keras makes the batches.
        maximal_samples: up to how many samples to keep the hashes of, 16 bytes each.
        earlier: splits described before, by name: the very same data is not described again.
    """
    kind, source, windows = data_kind(x), source_of(x), windows_of(x)
    if windows is not None:
        return describe_windows(qualified_name(type(x)), windows, maximal_samples=maximal_samples)
    data = (source.x, source.y, source.sample_weight) if source is not None else (x, y, sample_weight)
    marks = marks_of(named_data(data))
    same = next((name for name, split in (earlier or {}).items() if are_the_same(split.marks, marks)), None)
    if same is not None and earlier is not None:
        return DescribedSplit(_repetition(earlier[same].part, same, kind, x, batch_size), earlier[same].samples)
    if kind in ("arrays", "array_batches"):
        size = source.batch_size if source is not None else batch_size
        described = describe_arrays(
            kind, qualified_name(type(x)), data, batch_size=size, maximal_samples=maximal_samples
        )
        part = described.part if source is None else described.part.model_copy(update={"loader": _made_with(source)})
        return DescribedSplit(part, described.samples, marks)
    return DescribedSplit(_describe_program(kind, x), _BY_ITERATING, marks)


def _made_with(source: ArraySource) -> LoaderPart:
    """What decides the order of the samples of `archiver.data.array_batches`."""
    return LoaderPart(
        attributes={"seed": source.seed, "shuffle": source.shuffle, "drop_remainder": source.drop_remainder}
    )


def _repetition(part: SplitPart, name: str, kind: DataKind, x: Any, batch_size: int | None) -> SplitPart:
    as_there = Unavailable(unavailable=f"as in {name}")
    update = {"arrays": as_there, "classes": as_there, "pipeline": None, "loader": None, "batches": None}
    size = {} if batch_size is None else {"batch_size": batch_size}
    return part.model_copy(update={"same_as": name, "kind": kind, "type": qualified_name(type(x)), **update, **size})


def _describe_program(kind: DataKind, x: Any) -> SplitPart:
    part = SplitPart(
        kind=kind,
        type=qualified_name(type(x)),
        sample_count=_BY_ITERATING,
        samples_fingerprint=_BY_ITERATING,
        arrays=_BY_ITERATING,
        classes=_BY_ITERATING,
    )
    if kind == "tf_data":
        return part.model_copy(update=_tf_data(x))
    if kind == "pydataset":
        return part.model_copy(update={"batch_count": _batch_count(x), "loader": describe_py_dataset(x)})
    note = "looking at it would consume it"
    return part.model_copy(update={"note": note, "loader": describe_generator(x) if kind == "generator" else None})


def _tf_data(dataset: Any) -> dict[str, Any]:
    cardinality = int(dataset.cardinality())
    named = _named_specs("element", dataset.element_spec)
    leaves = [(name, spec) for name, spec in named if hasattr(spec, "shape") and hasattr(spec, "dtype")]
    return {
        "batch_count": cardinality if cardinality >= 0 else None,
        "batch_size": static_batch_size(dataset),
        "arrays": tuple(unread_array(name, spec, _NOT_READ) for name, spec in leaves),
        "pipeline": describe_pipeline(dataset),
        "note": {-1: "infinite", -2: "its length is not known beforehand"}.get(cardinality),
    }


def _named_specs(prefix: str, spec: Any) -> list[tuple[str, Any]]:
    if isinstance(spec, Mapping):
        return [leaf for key in spec for leaf in _named_specs(f"{prefix}/{key}", spec[key])]
    if isinstance(spec, list | tuple):
        return [leaf for index, item in enumerate(spec) for leaf in _named_specs(f"{prefix}/{index}", item)]
    return [(prefix, spec)]


def _batch_count(dataset: Any) -> int | None:
    count = dataset.num_batches
    return int(count) if isinstance(count, int) and count >= 0 else None

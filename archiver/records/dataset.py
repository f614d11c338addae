"""What a model was trained on."""

from __future__ import annotations

from typing import ClassVar, Literal

from archiver.records.base import Count, Json, Part, Real, Record, Sha256, Unavailable
from archiver.records.data_source import DataSource

DataKind = Literal["arrays", "array_batches", "tf_data", "pydataset", "generator", "other"]


class ArrayPart(Part):
    """One array or tensor of a data set."""

    name: str
    """Its key or position: `x`, `x/image`, `y/0`, `sample_weight`."""
    shape: tuple[int | None, ...]
    """With the samples as first axis; None where it is not fixed."""
    dtype: str
    minimum: Real | Unavailable
    maximum: Real | Unavailable
    missing: Count | Unavailable
    """Elements that are NaN."""
    sha256: Sha256 | Unavailable
    """Of all bytes, little-endian, C order."""


class SplitPart(Part):
    """Training, validation or test data."""

    kind: DataKind
    type: str
    """Qualified name of the object's class."""
    sample_count: Count | Unavailable
    batch_count: Count | None = None
    arrays: tuple[ArrayPart, ...] | Unavailable
    class_counts: dict[str, Count] | Unavailable
    """Samples per label, for integer labels of at most 10,000 classes and for one-hot labels."""
    note: str | None = None


class DatasetStats(Record):
    """`results/<name>_dataset_stats.json`."""

    KIND: ClassVar[str] = "dataset_stats"
    kind: Literal["dataset_stats"] = "dataset_stats"
    splits: dict[str, SplitPart]
    """By name: `train`, `validation`, `test`; later calls of `fit` add `train_2`, `validation_2`, ..."""
    ratios: dict[str, Real] | Unavailable
    """Share of each split in all samples, where every count is known."""
    class_names: tuple[str, ...] | None = None
    source: Json = None
    """What the user said with `dataset_source=`."""
    source_files: tuple[DataSource, ...] | Unavailable = Unavailable(unavailable="no file or folder was named")
    """The files and folders that `source` names, and what the data sets tell of theirs."""

"""The record sets of a data set's description: tables of splits, arrays, classes and sources, their rows inline."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from archiver.records.base import Unavailable
from archiver.records.data_source import DataFilePart, DataFolderPart, DataSource, ListedFilesPart
from archiver.records.dataset import ArrayPart, DatasetStats, SplitPart

TEXT, INTEGER, FLOAT = "sc:Text", "sc:Integer", "sc:Float"
SPLIT, ENUMERATION = "cr:Split", "sc:Enumeration"

Cell = str | int | float | None
Rows = list[tuple[Cell, ...]]


@dataclass(frozen=True)
class Column:
    """One field of a record set."""

    name: str
    data_type: str
    description: str


@dataclass(frozen=True)
class Table:
    """One record set."""

    name: str
    description: str
    columns: tuple[Column, ...]
    rows: Rows
    data_type: str | None = None
    """What a record is, in Croissant's words."""
    key: str | None = None
    """The column that tells records apart."""

    def as_json(self) -> dict[str, Any]:
        """The record set as JSON-LD."""
        names = [f"{self.name}/{column.name}" for column in self.columns]
        return {
            "@type": "cr:RecordSet",
            "@id": self.name,
            "name": self.name,
            "description": self.description,
            **({"dataType": self.data_type} if self.data_type else {}),
            **({"key": {"@id": f"{self.name}/{self.key}"}} if self.key else {}),
            "field": [
                {
                    "@type": "cr:Field",
                    "@id": name,
                    "name": column.name,
                    "description": column.description,
                    "dataType": column.data_type,
                }
                for name, column in zip(names, self.columns, strict=True)
            ],
            "data": [dict(zip(names, row, strict=True)) for row in self.rows],
        }


def record_sets(stats: DatasetStats) -> list[dict[str, Any]]:
    """The tables that have rows."""
    tables = (
        Table("splits", "The splits of the data.", _SPLITS, _splits(stats), SPLIT, "name"),
        Table("arrays", "The arrays of each split, the samples along the first axis.", _ARRAYS, _arrays(stats)),
        Table("classes", "The classes, by number.", _CLASSES, _classes(stats), ENUMERATION, "number"),
        Table("class_counts", "Samples of each class in each split.", _CLASS_COUNTS, _class_counts(stats)),
        Table("sources", "The files and folders that the data came from.", _SOURCES, _sources(stats)),
    )
    return [table.as_json() for table in tables if table.rows]


_SPLITS = (
    Column("name", TEXT, "train, validation, test; with a number, those of a later call of fit"),
    Column("sample_count", INTEGER, "Samples; null: not known"),
    Column("batch_size", INTEGER, "Samples in a batch, where it is fixed"),
    Column("kind", TEXT, "How the data were given: arrays, windows on disk, tf.data, ..."),
    Column("same_as", TEXT, "An earlier split of the very same samples"),
    Column("samples_fingerprint", TEXT, "SHA-256 over all samples in whatever order, as schemas/README.md defines it"),
)


def _splits(stats: DatasetStats) -> Rows:
    return [
        (
            name,
            _known(split.sample_count),
            split.batch_size,
            split.kind,
            split.same_as,
            _known(split.samples_fingerprint),
        )
        for name, split in stats.splits.items()
    ]


_ARRAYS = (
    Column("split", TEXT, "The split"),
    Column("name", TEXT, "x: inputs, y: targets, sample_weight: weights; with a slash, one of several"),
    Column("dtype", TEXT, "NumPy's name of the type"),
    Column("shape", TEXT, "By commas, as arrayShape has it; -1: not fixed"),
    Column("minimum", FLOAT, "Of the elements that are not NaN"),
    Column("maximum", FLOAT, "Of the elements that are not NaN"),
    Column("mean", FLOAT, "Of the finite elements"),
    Column("standard_deviation", FLOAT, "Of the finite elements, divided by n"),
    Column("missing", INTEGER, "Elements that are NaN"),
    Column("sha256", TEXT, "Of all bytes, little-endian, C order; null: the array was not seen as a whole"),
)


def _arrays(stats: DatasetStats) -> Rows:
    return [_array(name, array) for name, split in stats.splits.items() for array in _arrays_of(split)]


def _arrays_of(split: SplitPart) -> tuple[ArrayPart, ...]:
    """Of data sets that only Python can see, as their batches passed."""
    if not isinstance(split.arrays, Unavailable):
        return split.arrays
    return () if split.batches is None or isinstance(split.batches, Unavailable) else split.batches.arrays


def _array(split: str, array: ArrayPart) -> tuple[Cell, ...]:
    shape = ",".join("-1" if size is None else str(size) for size in array.shape)
    numbers = (array.minimum, array.maximum, array.mean, array.standard_deviation, array.missing)
    return (split, array.name, array.dtype, shape, *map(_known, numbers), _known(array.sha256))


_CLASSES = (
    Column("number", INTEGER, "As in the targets"),
    Column("name", TEXT, "As the run states it"),
)


def _classes(stats: DatasetStats) -> Rows:
    return list(enumerate(stats.class_names or ()))


_CLASS_COUNTS = (
    Column("split", TEXT, "The split"),
    Column("target", TEXT, "The array of targets"),
    Column("class", TEXT, "Number of the class"),
    Column("sample_count", INTEGER, "Samples of the class, among those that were described"),
)


def _class_counts(stats: DatasetStats) -> Rows:
    return [
        (name, target, number, count)
        for name, split in stats.splits.items()
        if not isinstance(split.classes, Unavailable)
        for target, distribution in split.classes.items()
        if not isinstance(distribution, Unavailable)
        for number, count in distribution.counts.items()
    ]


_SOURCES = (
    Column("name", TEXT, "Where the run names it"),
    Column("kind", TEXT, "file, folder, data_set, not_described"),
    Column("path", TEXT, "As the training saw it; ~ is its user's home folder"),
    Column("file_count", INTEGER, "Files"),
    Column("total_bytes", INTEGER, "Bytes of all files"),
    Column("sha256", TEXT, "Of a file's bytes; of a folder, of its manifest, as schemas/README.md defines it"),
    Column("listing_sha256", TEXT, "Of the names and sizes of a folder's files; of the names that a data set lists"),
)


def _sources(stats: DatasetStats) -> Rows:
    parts = () if isinstance(stats.source_files, Unavailable) else stats.source_files
    return [row for part in parts for row in _source(part)]


def _source(part: DataSource) -> Iterator[tuple[Cell, ...]]:
    if isinstance(part, DataFilePart):
        yield part.name, part.kind, part.path, 1, part.size_bytes, _known(part.sha256), None
    elif isinstance(part, DataFolderPart):
        digests = _known(part.manifest_sha256), _known(part.listing_sha256)
        yield part.name, part.kind, part.path, part.file_count, part.total_bytes, *digests
    elif isinstance(part, ListedFilesPart):
        yield (
            part.name,
            part.kind,
            _known(part.folder),
            _known(part.file_count),
            None,
            None,
            _known(part.listing_sha256),
        )
    else:
        yield part.name, part.kind, part.path, None, None, None, None


def _known(value: Cell | Unavailable) -> Cell:
    """JSON has no NaN: what is not known, or no finite number, is null."""
    if isinstance(value, Unavailable) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value

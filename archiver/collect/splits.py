"""Describing the splits of a data set that are arrays, and what they have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from archiver.collect.arrays import describe_array
from archiver.collect.data import as_array, named_data
from archiver.collect.labels import class_distribution
from archiver.collect.sameness import Mark
from archiver.collect.samples import (
    MAXIMAL_SAMPLES,
    RowHashes,
    Samples,
    duplicates_between,
    duplicates_within,
    samples_of,
)
from archiver.records.base import Unavailable
from archiver.records.dataset import (
    ArrayPart,
    ClassDistribution,
    DataKind,
    DatasetStats,
    DuplicatesPart,
    DuplicatesTable,
    SharedGroupsPart,
    SplitPart,
)

ROLES = ("train", "validation", "test")
_LATER = re.compile(r"(?P<role>.+)_phase_(?P<phase>[0-9]+)")

Array = NDArray[Any]


@dataclass(frozen=True)
class DescribedSplit:
    """The record of a split, and what is kept beside it until the run is left."""

    part: SplitPart
    samples: Samples | Unavailable
    marks: tuple[Mark | None, ...] = ()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By kind, all names; the record has the first of them."""


def split_name(role: str, phase: int) -> str:
    """`train`, and `train_phase_1` for the data of a later call of `fit`."""
    return role if phase == 0 else f"{role}_phase_{phase}"


def role_and_phase(name: str) -> tuple[str, int]:
    """The other way round."""
    match = _LATER.fullmatch(name)
    return (match["role"], int(match["phase"])) if match else (name, 0)


# -- one split


def describe_arrays(
    kind: DataKind,
    type_name: str,
    data: tuple[Any, Any, Any],
    *,
    batch_size: int | None = None,
    maximal_samples: int = MAXIMAL_SAMPLES,
) -> DescribedSplit:
    """Describe `(x, y, sample_weight)`, each a structure of arrays or None; every array is read in full, once."""
    named = named_data(data)
    arrays = {name: read_array(value) for name, value in named}
    known = {name: array for name, array in arrays.items() if not isinstance(array, Unavailable)}
    count = _sample_count(arrays)
    wanting = _why_not_hashed(known, count, maximal_samples) if len(known) == len(arrays) else "not every array is read"
    hashes = {name: RowHashes() for name in known if not wanting and not name.startswith("sample_weight")}
    parts = tuple(_describe(name, value, arrays[name], hashes) for name, value in named)
    samples = Unavailable(unavailable=wanting) if wanting else _samples(known, hashes)
    targets = {name: array for name, array in arrays.items() if _is_in("y", name)}
    part = SplitPart(
        kind=kind,
        type=type_name,
        sample_count=count,
        batch_size=batch_size,
        samples_fingerprint=samples if isinstance(samples, Unavailable) else samples.fingerprint,
        arrays=parts,
        classes={name: _classes(array) for name, array in targets.items()}
        if targets
        else Unavailable(unavailable="there are no targets"),
    )
    return DescribedSplit(part, samples)


def _shared_groups(splits: Mapping[str, DescribedSplit]) -> dict[str, dict[str, dict[str, SharedGroupsPart]]]:
    found: dict[str, dict[str, dict[str, SharedGroupsPart]]] = {}
    for first, second in _pairs(splits):
        one, other = splits[first].groups, splits[second].groups
        for kind in one.keys() & other.keys():
            both = sorted(one[kind] & other[kind])
            part = SharedGroupsPart(count=len(both), first=tuple(both[:10]))
            found.setdefault(first, {}).setdefault(second, {})[kind] = part
    return found


def _is_in(prefix: str, name: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}/")


def read_array(value: Any) -> Array | Unavailable:
    """An array in memory of whatever a user calls one, or why it cannot be had."""
    if hasattr(value, "tocoo") or type(value).__name__ in ("SparseTensor", "RaggedTensor"):
        return Unavailable(unavailable=f"a {type(value).__name__} is not spread out to be looked at")
    try:
        return as_array(value)
    except Exception as error:  # noqa: BLE001 - whatever a user's own kind of array raises
        return Unavailable(unavailable=f"could not be read as an array ({type(error).__name__})")


def _sample_count(arrays: Mapping[str, Array | Unavailable]) -> int | Unavailable:
    counts = {len(array) for array in arrays.values() if not isinstance(array, Unavailable) and array.ndim}
    if len(counts) == 1:
        return counts.pop()
    return Unavailable(unavailable="the arrays differ in length" if counts else "no array has samples")


def _why_not_hashed(arrays: Mapping[str, Array], count: int | Unavailable, maximal: int) -> str | None:
    hashed = [array for name, array in arrays.items() if not name.startswith("sample_weight")]
    if isinstance(count, Unavailable):
        return count.unavailable
    if not any(_is_in("x", name) for name in arrays):
        return "there are no inputs"
    if any(array.dtype.hasobject for array in hashed):
        return "an array holds Python objects"
    if any(array.ndim == 0 for array in hashed):
        return "an array has no samples"
    return f"more than {maximal:,} samples" if count > maximal else None


def _describe(name: str, value: Any, array: Array | Unavailable, hashes: Mapping[str, RowHashes]) -> ArrayPart:
    if isinstance(array, Unavailable):
        return unread_array(name, value, array)
    also: Callable[[Array], None] | None = hashes[name].update if name in hashes else None
    return describe_array(name, array, also)


def unread_array(name: str, value: Any, reason: Unavailable) -> ArrayPart:
    """What its shape and dtype tell of an array or its specification that is not read."""
    shape, dtype = getattr(value, "shape", ()), getattr(value, "dtype", "")
    sizes = () if getattr(shape, "rank", 0) is None else tuple(shape)
    return ArrayPart(
        name=name,
        shape=tuple(None if size is None else int(size) for size in sizes),
        dtype=str(getattr(dtype, "name", dtype)),
        minimum=reason,
        maximum=reason,
        mean=reason,
        standard_deviation=reason,
        missing=reason,
        infinite=reason,
        zero_share=reason,
        sha256=reason,
    )


def _samples(arrays: Mapping[str, Array], hashes: Mapping[str, RowHashes]) -> Samples:
    inputs = [name for name in hashes if _is_in("x", name)]
    layout = [(name, arrays[name].shape[1:], str(arrays[name].dtype.newbyteorder("<"))) for name in inputs]
    return samples_of(layout, [hashes[n] for n in inputs], [hashes[n] for n in hashes if _is_in("y", n)])


def _classes(array: Array | Unavailable) -> ClassDistribution | Unavailable:
    return array if isinstance(array, Unavailable) else class_distribution(array)


# -- all splits


def dataset_stats(
    splits: Mapping[str, DescribedSplit], class_names: tuple[str, ...] | None, source: Any
) -> DatasetStats:
    """The record of all splits, with their shares and the samples they have in common."""
    own = {name: split.part.sample_count for name, split in splits.items() if split.part.same_as is None}
    known = {name: count for name, count in own.items() if isinstance(count, int)}
    total = sum(known.values())
    unknown = Unavailable(unavailable="not every split's number of samples is known")
    return DatasetStats(
        total_sample_count=total if len(known) == len(own) else unknown,
        ratios={name: count / total for name, count in known.items()} if len(known) == len(own) and total else unknown,
        duplicates=DuplicatesTable(within=_within(splits), between=_between(splits)),
        shared_groups=_shared_groups(splits),
        class_names=class_names,
        source=source,
        splits={name: split.part for name, split in splits.items()},
    )


def _within(splits: Mapping[str, DescribedSplit]) -> dict[str, DuplicatesPart | Unavailable]:
    own = {name: split.samples for name, split in splits.items() if split.part.same_as is None}
    return {
        name: samples if isinstance(samples, Unavailable) else duplicates_within(samples)
        for name, samples in own.items()
    }


def _between(splits: Mapping[str, DescribedSplit]) -> dict[str, dict[str, DuplicatesPart | Unavailable]]:
    found: dict[str, dict[str, DuplicatesPart | Unavailable]] = {}
    for first, second in _pairs(splits):
        a, b = splits[first].samples, splits[second].samples
        unknown = a if isinstance(a, Unavailable) else b if isinstance(b, Unavailable) else None
        found.setdefault(first, {})[second] = unknown or duplicates_between(a, b)  # type: ignore[arg-type]
    return found


def _pairs(splits: Mapping[str, DescribedSplit]) -> list[tuple[str, str]]:
    """Which splits should have no sample in common; what is the same as an earlier pair is left out."""
    pairs: dict[tuple[str, str], tuple[str, str]] = {}
    for first in splits:
        for second in splits:
            (role, phase), (other, other_phase) = role_and_phase(first), role_and_phase(second)
            if role not in ROLES or other not in ROLES or ROLES.index(role) >= ROLES.index(other):
                continue
            if phase == other_phase or other == "test":
                originals = splits[first].part.same_as or first, splits[second].part.same_as or second
                pairs.setdefault(originals, (first, second))
    return list(pairs.values())

"""Which windows are for training, validation and test, so that no group is in two of them.

Windows of one subject resemble each other: a model that has seen some of them knows the others, so that results on
them say too much. `split_by_group` therefore deals whole groups out.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.collect.data import labels_of
from archiver.data.windows import Windows
from archiver.errors import ArgumentError, DataError


@dataclass(frozen=True, eq=False)
class Selection:
    """Some of the windows of a source, and how they were chosen; NumPy takes it as the array of their numbers."""

    numbers: NDArray[np.int64]
    """Ascending."""
    described: Mapping[str, Any]
    """What an archive records of the choice."""

    def __len__(self) -> int:
        return len(self.numbers)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.numbers, dtype=dtype) if copy else np.asarray(self.numbers, dtype=dtype)


def split_by_group(
    windows: Windows,
    *,
    by: str = "subject",
    fractions: Mapping[str, float],
    seed: int,
    stratify: bool = False,
) -> dict[str, Selection]:
    """Deal the groups out to splits, at random, so that each gets its share of the windows as nearly as they allow.

    The groups are shuffled by PCG64 seeded with `seed` and, largest first, each given to the split that lacks most
    of its share (greedy, as in "longest processing time first" of scheduling); a split without a group gets one before
    the others get more than they should. Then groups are moved and exchanged as long as that comes nearer to the
    shares.

    Args:
        windows: whose groups are dealt out.
        by: the kind of groups that no two splits may share.
        fractions: by split, its share of the windows; together 1.
        seed: decides which groups come where.
        stratify: let each split have its share of every label too.

    Returns:
        By split, its windows.

    Raises:
        ArgumentError: fractions that are not above 0 or not 1 together, or no seed.
        DataError: there are no groups of this kind, fewer than splits, or no labels to stratify by.
    """
    _check(windows, by, fractions, seed)
    names, members = np.unique(windows.groups[by], return_inverse=True)
    if len(names) < len(fractions):
        raise DataError(
            f"Received {len(names)} groups of the kind {by!r} for {len(fractions)} splits. Expected at least one group "
            "for each: split by another kind, or into fewer."
        )
    sizes = _sizes(windows, members, len(names), stratify)
    shares = np.array([fractions[split] for split in fractions], np.float64)
    places = _dealt(sizes, shares, np.random.Generator(np.random.PCG64(seed)))
    described = {"by": by, "fractions": dict(fractions), "seed": seed, "stratified": stratify}
    return {
        split: _selection(np.flatnonzero(places[members] == place), split, described, int((places == place).sum()))
        for place, split in enumerate(fractions)
    }


def _check(windows: Windows, by: str, fractions: Mapping[str, float], seed: Any) -> None:
    if by not in windows.groups:
        raise DataError(f"Received by={by!r}. Expected a kind the windows have: {sorted(windows.groups)}.")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ArgumentError(f"Received seed={seed!r}. Expected a whole number of at least 0.")
    values = list(fractions.values())
    if not values or any(not 0 < value <= 1 for value in values) or not math.isclose(sum(values), 1, abs_tol=1e-6):
        raise ArgumentError(f"Received fractions={dict(fractions)}. Expected numbers above 0 that are 1 together.")


def _sizes(windows: Windows, members: NDArray[np.intp], count: int, stratify: bool) -> NDArray[np.float64]:
    """Shape (groups, 1), the windows of each; stratified (groups, 1 + labels), those of each label behind."""
    totals = np.bincount(members, minlength=count).astype(np.float64)[:, None]
    if not stratify:
        return totals
    labels = None if windows.labels is None else labels_of(windows.labels)
    if labels is None:
        raise DataError("Received stratify=True for windows without labels that are classes. Expected one per window.")
    classes, columns = np.unique(labels, return_inverse=True)
    table = np.zeros((count, len(classes)))
    np.add.at(table, (members, columns), 1)
    return np.hstack([totals, table])


def _dealt(sizes: NDArray[np.float64], shares: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.intp]:
    """By group, the split it goes to."""
    wanted = shares[:, None] * sizes.sum(axis=0)
    weights = 1 / np.maximum(sizes.sum(axis=0), 1)
    shuffled = generator.permutation(len(sizes))
    order = shuffled[np.argsort(-sizes[shuffled, 0], kind="stable")]
    places = np.full(len(sizes), -1, np.intp)
    have = np.zeros_like(wanted)
    for dealt, group in enumerate(order):
        empty = ~np.isin(np.arange(len(shares)), places)
        must = empty if empty.sum() >= len(order) - dealt else np.ones(len(shares), bool)
        costs = _distance(have[None] + sizes[group] * np.eye(len(shares))[:, :, None], wanted, weights)
        places[group] = np.where(must, costs, np.inf).argmin()
        have[places[group]] += sizes[group]
    _improve(sizes, wanted, weights, places, have)
    return places


def _distance(
    have: NDArray[np.float64], wanted: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How far splits are from their shares: squares, relative to all windows (and all of a label)."""
    distance: NDArray[np.float64] = (((have - wanted) * weights) ** 2).sum(axis=(-1, -2))
    return distance


MAXIMAL_ROUNDS = 20
MAXIMAL_EXCHANGED = 200
"""Groups up to which exchanges of two are tried; more can be dealt out finely enough."""


def _improve(
    sizes: NDArray[np.float64],
    wanted: NDArray[np.float64],
    weights: NDArray[np.float64],
    places: NDArray[np.intp],
    have: NDArray[np.float64],
) -> None:
    """Move one group, or exchange two, while that comes nearer; in place."""
    count = len(sizes)
    for _ in range(MAXIMAL_ROUNDS):
        changed = False
        for one in range(count):
            others = range(one + 1, count) if count <= MAXIMAL_EXCHANGED else ()
            moves = [((one, place),) for place in range(len(wanted))]
            exchanges = [((one, int(places[two])), (two, int(places[one]))) for two in others]
            for change in (*moves, *exchanges):
                changed |= _changed_if_nearer(change, sizes, wanted, weights, places, have)
        if not changed:
            return


def _changed_if_nearer(  # noqa: PLR0917 - what a round of exchanges shares
    change: tuple[tuple[int, int], ...],
    sizes: NDArray[np.float64],
    wanted: NDArray[np.float64],
    weights: NDArray[np.float64],
    places: NDArray[np.intp],
    have: NDArray[np.float64],
) -> bool:
    then = have.copy()
    after = places.copy()
    for group, place in change:
        then[places[group]] -= sizes[group]
        then[place] += sizes[group]
        after[group] = place
    is_nearer = _distance(then, wanted, weights) < _distance(have, wanted, weights) - 1e-12  # more than rounding
    if not is_nearer or len(np.unique(after)) < len(wanted):
        return False
    have[:], places[:] = then, after
    return True


def _selection(numbers: NDArray[np.intp], split: str, described: Mapping[str, Any], groups: int) -> Selection:
    numbers = numbers.astype(np.int64)
    more = {"split": split, "windows": len(numbers), "groups": groups, "numbers_sha256": numbers_digest(numbers)}
    return Selection(numbers, {**described, **more})


def numbers_digest(numbers: NDArray[np.int64]) -> str:
    """SHA-256 of window numbers as int64, little-endian, in their order."""
    return hashlib.sha256(np.ascontiguousarray(numbers, "<i8").tobytes()).hexdigest()

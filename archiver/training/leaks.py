"""Telling the user that samples stand in two splits."""

from __future__ import annotations

from collections.abc import Iterator

from archiver.collect.splits import role_and_phase
from archiver.records.base import Unavailable
from archiver.records.dataset import DatasetStats, DuplicatesPart, SharedGroupsPart

NO_LEAKS = ("release",)
"""Kinds of groups that hold many subjects, so that two splits may well have them in common."""


def leaks(stats: DatasetStats) -> Iterator[tuple[str, str]]:
    """For each pair of splits with samples in common, a key and what to tell."""
    for first, others in stats.duplicates.between.items():
        for second, found in others.items():
            if not isinstance(found, Unavailable) and found.count:
                yield f"leak {first} {second}", _message(first, second, found, stats)
    for first, sharing in stats.shared_groups.items():
        for second, kinds in sharing.items():
            for kind, shared in kinds.items():
                if shared.count and kind not in NO_LEAKS:
                    yield f"groups {first} {second} {kind}", _of_groups(first, second, kind, shared)


def _message(first: str, second: str, found: DuplicatesPart, stats: DatasetStats) -> str:
    total = stats.splits[second].sample_count
    conflicting = (
        f", {found.conflicting_count:,} of them with other targets"
        if isinstance(found.conflicting_count, int) and found.conflicting_count
        else ""
    )
    pairs = ", ".join(f"{second}[{later}] is {first}[{earlier}]" for earlier, later in found.first_pairs[:3])
    return (
        f"archiver: {found.count:,} of {total:,} {_in_words(second)} samples also stand in the {_in_words(first)} data"
        f"{conflicting} (the first: {pairs}). If they are the same by accident, results on them say less than they "
        "seem to; all numbers are in the data set statistics, under duplicates."
    )


def _of_groups(first: str, second: str, kind: str, shared: SharedGroupsPart) -> str:
    return (
        f"archiver: {shared.count:,} groups of the kind {kind} are in both the {_in_words(first)} and the "
        f"{_in_words(second)} data ({', '.join(shared.first[:3])} ...). Windows of one group resemble each other: "
        "results on them say less than they seem to. archiver.data.split_by_group keeps groups apart."
    )


def _in_words(name: str) -> str:
    role, phase = role_and_phase(name)
    return {"train": "training"}.get(role, role) + (f" (phase {phase})" if phase else "")

"""Images that are there more than once. Needed: 28 bytes per image, until the folder has been read."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from archiver.collect.data_paths import visible
from archiver.collect.folder_listing import FIRST_COUNT
from archiver.collect.image_classes import Classes, Place
from archiver.records.data_source import DuplicatePart, DuplicatesPart

_KEY_BYTES = 16
"""Of a SHA-256: two different images with the same ones will not be met."""

Indexes = NDArray[np.int64]


class DuplicateSearch:
    """Notes the digests of images; at the end, says which images are equal."""

    def __init__(self) -> None:
        self._keys = bytearray()
        self._places = array("i")
        self._ordinals = array("q")
        self._known_places: dict[Place, int] = {}

    def add(self, ordinal: int, place: Place, sha256: str) -> None:
        """Note an image; ordinals increase."""
        self._keys += bytes.fromhex(sha256[: 2 * _KEY_BYTES])
        self._places.append(self._known_places.setdefault(place, len(self._known_places)))
        self._ordinals.append(ordinal)

    def result(self, classes: Classes, paths: Callable[[Collection[int]], Mapping[int, bytes]]) -> DuplicatesPart:
        """What was found.

        Args:
            classes: what the places of images stand for.
            paths: gives the paths of images by their ordinals; those it does not know are left out.
        """
        later, first = self._equal_images()
        splits, names = self._of_places(classes)
        places = np.frombuffer(self._places, dtype=np.int32) if self._places else np.zeros(0, np.int32)
        is_conflict = names[places[later]] != names[places[first]]
        is_between = splits[places[later]] != splits[places[first]]
        shown = np.lexsort((later, ~is_conflict))[:FIRST_COUNT]
        pairs = [(self._ordinals[int(later[i])], self._ordinals[int(first[i])]) for i in shown]
        known = paths({ordinal for pair in pairs for ordinal in pair}) if pairs else {}
        return DuplicatesPart(
            image_count=len(later),
            conflicting_count=int(is_conflict.sum()),
            between_splits_count=int(is_between.sum()),
            first=tuple(
                DuplicatePart(path=visible(known[one]), same_as=visible(known[other]))
                for one, other in pairs
                if one in known and other in known
            ),
        )

    def _equal_images(self) -> tuple[Indexes, Indexes]:
        """Indexes of the images whose bytes an earlier one has, in order, and for each the earliest one."""
        keys = np.frombuffer(self._keys, dtype=np.uint64).reshape(-1, 2) if self._keys else np.zeros((0, 2), np.uint64)
        order = np.lexsort((keys[:, 1], keys[:, 0]))  # stable: equal ones stay in their order
        ordered = keys[order]
        is_same = np.zeros(len(order), dtype=bool)
        is_same[1:] = (ordered[1:] == ordered[:-1]).all(axis=1)
        firsts = order[~is_same][np.cumsum(~is_same) - 1] if len(order) else order
        later, first = order[is_same], firsts[is_same]
        by_path = np.argsort(later)
        return later[by_path], first[by_path]

    def _of_places(self, classes: Classes) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
        pairs = [classes.split_and_class(place) for place in self._known_places]
        splits, names = np.empty(len(pairs), dtype=object), np.empty(len(pairs), dtype=object)
        splits[:], names[:] = [split for split, _ in pairs], [name for _, name in pairs]
        return splits, names

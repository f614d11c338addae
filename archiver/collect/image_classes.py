"""Which files of a folder are its images, and which classes its sub-folders make of them; by names alone."""

from __future__ import annotations

import os
from collections import Counter

from archiver.collect.data_paths import visible
from archiver.collect.folder_listing import FoundFile, suffix_of
from archiver.collect.image_headers import HEAD_BYTES, IMAGE_SUFFIXES, UNKNOWN, image_format
from archiver.collect.reading_limits import open_regular
from archiver.records.base import Unavailable

MAXIMAL_CLASSES = 10_000
_SAMPLE_COUNT = 64
_NO_SUFFIX = frozenset((b"",))
_SPLIT_FOLDERS = frozenset((b"train", b"training", b"val", b"valid", b"validation", b"dev", b"test", b"testing"))

Place = tuple[bytes, bytes]
"""The first two folders of a relative path, empty where there are none."""


def place_of(path: bytes) -> Place:
    """`(b"train", b"cat")` of `train/cat/old/1.jpg`, `(b"cat", b"")` of `cat/1.jpg`."""
    parts = path.split(b"/", 2)
    return parts[0] if len(parts) > 1 else b"", parts[1] if len(parts) > 2 else b""  # noqa: PLR2004


class Candidates:
    """The files of a folder that may be its images, counted by place: those with the suffix of an image, and those
    without any suffix, of which the first ones are looked into."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._file_count = 0
        self._with_suffix: Counter[Place] = Counter()
        self._without: Counter[Place] = Counter()
        self._sample: list[str] = []

    def add(self, file: FoundFile) -> None:
        """Count a file."""
        self._file_count += 1
        suffix = suffix_of(file.path)
        if suffix in IMAGE_SUFFIXES:
            self._with_suffix[place_of(file.path)] += 1
        elif not suffix:
            self._without[place_of(file.path)] += 1
            if len(self._sample) < _SAMPLE_COUNT:
                self._sample.append(self._format_of(file))

    def _format_of(self, file: FoundFile) -> str:
        try:
            with open_regular(os.path.join(self._root, file.path)) as opened:
                return image_format(opened.read(HEAD_BYTES))
        except OSError:
            return UNKNOWN

    def suffixes(self) -> frozenset[bytes] | None:
        """The suffixes that the images of the folder have, if most of its files are images; else None."""
        if 2 * self._with_suffix.total() > self._file_count:
            return IMAGE_SUFFIXES
        image_count = sum(name != UNKNOWN for name in self._sample)
        if 2 * self._without.total() > self._file_count and 2 * image_count > len(self._sample):
            return _NO_SUFFIX
        return None

    def classes(self, suffixes: frozenset[bytes]) -> Classes:
        """The images with these suffixes, by class."""
        return Classes(self._without if suffixes == _NO_SUFFIX else self._with_suffix)


class Classes:
    """What the sub-folders of a folder of images stand for."""

    def __init__(self, counts: Counter[Place]) -> None:
        self._counts = counts
        tops = {first for first, _ in counts} - {b""}
        self._has_splits = bool(tops) and {top.lower() for top in tops} <= _SPLIT_FOLDERS
        """Whether the folders at the top are splits, and the classes stand below them."""

    @property
    def image_count(self) -> int:
        """Of all images, also those in no class."""
        return self._counts.total()

    def split_and_class(self, place: Place) -> Place:
        """The split's folder and the class's folder, empty where there is none."""
        return place if self._has_splits else (b"", place[0])

    def counts(self) -> dict[str, int] | Unavailable:
        """Images per class, sorted by name; per split and class where there are splits."""
        found: Counter[bytes] = Counter()
        for place, count in self._counts.items():
            split, name = self.split_and_class(place)
            if (split or name) and not split.startswith(b".") and not name.startswith(b"."):
                found[b"/".join(part for part in (split, name) if part)] += count
        if not found:
            return Unavailable(unavailable="the images lie in no sub-folders")
        if len(found) > MAXIMAL_CLASSES:
            return Unavailable(unavailable=f"there are {len(found):,} sub-folders, more than {MAXIMAL_CLASSES:,}")
        return {visible(name): found[name] for name in sorted(found)}

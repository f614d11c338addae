"""The images of a folder, looked at one by one as they are read: formats, sizes, what is damaged or there twice."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import BinaryIO, Literal, TypeVar

from archiver.collect.data_paths import visible
from archiver.collect.folder_listing import FIRST_COUNT, FaultyFiles, FoundFile, suffix_of
from archiver.collect.image_classes import Classes, place_of
from archiver.collect.image_duplicates import DuplicateSearch
from archiver.collect.image_headers import (
    FORMAT_OF_SUFFIX,
    HEAD_BYTES,
    UNKNOWN,
    ImageHeader,
    image_format,
    missing_end,
    read_header,
)
from archiver.collect.reading_limits import Limits, sha256_of_rest
from archiver.records.base import Unavailable
from archiver.records.data_source import ImageSizePart, ImagesPart, MismatchPart, RangePart

WHOLE_BYTES = 32 << 20
"""Images up to this size are read in one piece, once."""
_COMMON_SIZES = 10
_MAXIMAL_SIZES = 100_000

T = TypeVar("T")

Paths = Callable[[Collection[int]], Mapping[int, bytes]]


class ImageInspection:
    """Gathers what the images of one folder are like."""

    def __init__(self, suffixes: frozenset[bytes], classes: Classes) -> None:
        self._suffixes = suffixes
        self._classes = classes
        self._ordinal = -1
        self._formats: Counter[str] = Counter()
        self._mismatch_count = 0
        self._mismatches: list[MismatchPart] = []
        self._damaged = FaultyFiles()
        self._duplicates = DuplicateSearch()
        self._headers = HeaderTally()

    def is_image(self, file: FoundFile) -> bool:
        """Whether this is one of the images, by its name."""
        return suffix_of(file.path) in self._suffixes

    def refuse(self, file: FoundFile, error: OSError) -> None:
        """Note the next image, which cannot be opened."""
        self._ordinal += 1
        self._damaged.add(file.path, error)

    def read(self, found: FoundFile, file: BinaryIO, limits: Limits) -> str:
        """Read the next image; returns its SHA-256.

        Raises:
            CutShortError: see `Limits.check`.
            OSError: it cannot be read.
        """
        if found.size_bytes > WHOLE_BYTES:
            head = file.read(HEAD_BYTES)
            file.seek(0)
            sha256 = sha256_of_rest(file, limits)
            file.seek(0)
            self._look(found.path, image_format(head), file, None)
        else:
            data = file.read()
            sha256 = hashlib.sha256(data).hexdigest()
            self._look(found.path, image_format(data[:HEAD_BYTES]), io.BytesIO(data), data)
        self._ordinal += 1
        self._duplicates.add(self._ordinal, place_of(found.path), sha256)
        return sha256

    def _look(self, path: bytes, format_name: str, file: BinaryIO, data: bytes | None) -> None:
        self._formats[format_name] += 1
        expected = FORMAT_OF_SUFFIX.get(suffix_of(path))
        if format_name == UNKNOWN:
            self._damaged.add(path, OSError("is empty" if data == b"" else "its content is no image"))
            return
        if expected is not None and expected != format_name:
            self._mismatch_count += 1
            if len(self._mismatches) < FIRST_COUNT:
                self._mismatches.append(MismatchPart(path=visible(path), format=format_name))
        fault = self._fault(format_name, file, data)
        if fault is not None:
            self._damaged.add(path, OSError(fault))

    def _fault(self, format_name: str, file: BinaryIO, data: bytes | None) -> str | None:
        fault = missing_end(format_name, data) if data is not None else None
        try:
            header = read_header(format_name, file)
        except Exception as error:  # noqa: BLE001 - Pillow raises all kinds on damaged files
            return fault or visible(f"{type(error).__name__}: {str(error)[:200]}")
        self._headers.add(header)
        return fault

    def part(self, inspection: Literal["complete"] | Unavailable, paths: Paths) -> ImagesPart:
        """What was gathered so far."""
        headers = self._headers
        return ImagesPart(
            image_count=self._classes.image_count,
            class_counts=self._classes.counts(),
            inspected_count=self._ordinal + 1,
            inspection=inspection,
            formats=dict(sorted(self._formats.items())),
            width=headers.range_of(0),
            height=headers.range_of(1),
            common_sizes=headers.common_sizes(),
            distinct_size_count=headers.distinct_size_count(),
            modes=headers.or_reason(dict(headers.modes.most_common())),
            animated_count=headers.or_reason(headers.animated_count),
            mismatch_count=self._mismatch_count,
            mismatches=tuple(self._mismatches),
            damaged_count=self._damaged.count,
            damaged=tuple(self._damaged.first),
            duplicates=self._duplicates.result(self._classes, paths),
        )


class HeaderTally:
    """Sizes and modes of many images."""

    def __init__(self) -> None:
        self.modes: Counter[str] = Counter()
        self.animated_count = 0
        self._count = 0
        self._sums = [0, 0]
        self._ranges = [(0, 0), (0, 0)]
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._has_more_sizes = False
        self._reason = Unavailable(unavailable="no image could be looked into")

    def add(self, header: ImageHeader | Unavailable) -> None:
        """Count a header; a reason why there is none is kept for the case that there never is one."""
        if isinstance(header, Unavailable):
            self._reason = header
            return
        size = (header.width, header.height)
        for axis, length in enumerate(size):
            low, high = self._ranges[axis] if self._count else (length, length)
            self._ranges[axis] = (min(low, length), max(high, length))
            self._sums[axis] += length
        self._count += 1
        self.modes[header.mode] += 1
        self.animated_count += header.is_animated
        if size in self._sizes or len(self._sizes) < _MAXIMAL_SIZES:
            self._sizes[size] += 1
        else:
            self._has_more_sizes = True

    def or_reason(self, value: T) -> T | Unavailable:
        """`value`, if any header was read."""
        return value if self._count else self._reason

    def range_of(self, axis: int) -> RangePart | Unavailable:
        """Of the widths (0) or heights (1)."""
        if not self._count:
            return self._reason
        low, high = self._ranges[axis]
        return RangePart(minimum=low, maximum=high, mean=self._sums[axis] / self._count)

    def common_sizes(self) -> tuple[ImageSizePart, ...] | Unavailable:
        """The most frequent sizes."""
        ordered = sorted(self._sizes.items(), key=lambda item: (-item[1], item[0]))[:_COMMON_SIZES]
        return self.or_reason(
            tuple(ImageSizePart(width=width, height=height, image_count=count) for (width, height), count in ordered)
        )

    def distinct_size_count(self) -> int | Unavailable:
        """How many different sizes there are."""
        if self._has_more_sizes:
            return Unavailable(unavailable=f"there are more than {_MAXIMAL_SIZES:,}")
        return self.or_reason(len(self._sizes))

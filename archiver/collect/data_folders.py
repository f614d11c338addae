"""A folder of data: listed first, which is quick, then read, for the digest of its content and for its images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from typing import Literal

from archiver.collect.data_paths import NamedPath, visible
from archiver.collect.folder_listing import FoundFile, Listing, Tally, manifest_line, time_of, walk
from archiver.collect.image_classes import Candidates
from archiver.collect.image_folders import ImageInspection
from archiver.collect.reading_limits import CutShortError, Limits, open_regular, sha256_of_rest
from archiver.records.base import Unavailable
from archiver.records.data_source import DataFolderPart, ImagesPart


def describe_folder(named: NamedPath, root: bytes, resolves_to: str | None, limits: Limits) -> DataFolderPart:
    """What is known of the folder `named`, which really is at `root`, within the limits."""
    listing, candidates = Listing(), Candidates(root)
    completeness = _list(root, listing, candidates, limits)
    reader = FolderReader(root, listing, _inspection(candidates), limits)
    manifest = completeness if isinstance(completeness, Unavailable) else reader.read()
    images = reader.images(manifest)
    tally = listing.tally
    return DataFolderPart(
        name=named.name,
        path=visible(named.path),
        resolves_to=resolves_to,
        listing=completeness,
        file_count=listing.file_count,
        total_bytes=listing.total_bytes,
        folder_count=tally.folder_count,
        suffixes=listing.suffixes(),
        oldest_modified=time_of(listing.oldest_ns),
        newest_modified=time_of(listing.newest_ns),
        manifest_sha256=manifest,
        listing_sha256=completeness if isinstance(completeness, Unavailable) else listing.sha256(),
        link_count=tally.link_count,
        special_count=tally.special_count,
        unreadable_count=tally.unreadable.count,
        unreadable=tuple(tally.unreadable.first),
        images=images,
    )


def _list(root: bytes, listing: Listing, candidates: Candidates, limits: Limits) -> Literal["complete"] | Unavailable:
    try:
        for file in walk(root, listing.tally, limits):
            listing.add(file)
            candidates.add(file)
    except CutShortError as error:
        return Unavailable(unavailable=str(error))
    return "complete"


def _inspection(candidates: Candidates) -> ImageInspection | None:
    suffixes = candidates.suffixes()
    return None if suffixes is None else ImageInspection(suffixes, candidates.classes(suffixes))


class FolderReader:
    """Reads the files of a folder that has been listed, each once, in the order of their paths."""

    def __init__(self, root: bytes, listing: Listing, inspection: ImageInspection | None, limits: Limits) -> None:
        self._root = root
        self._listing = listing
        self._inspection = inspection
        self._limits = limits

    def read(self) -> str | Unavailable:
        """The SHA-256 of the manifest, or why there is none."""
        listing = self._listing
        refusal = self._limits.reserve(listing.file_count, listing.total_bytes)
        if refusal is not None:
            return refusal
        digest, file_count = hashlib.sha256(), 0
        try:
            for file in walk(self._root, Tally(), self._limits):
                self._limits.check()
                digest.update(self._line(file))
                file_count += 1
            is_changed = self._is_changed()
        except CutShortError as error:
            reason = f"{error} ({file_count:,} of {listing.file_count:,} files were)"
            return Unavailable(unavailable=reason)
        return Unavailable(unavailable="the folder was changed while it was read") if is_changed else digest.hexdigest()

    def _is_changed(self) -> bool:
        now = Listing()
        for file in walk(self._root, Tally(), self._limits):
            now.add(file)
        return (now.sha256(), now.newest_ns) != (self._listing.sha256(), self._listing.newest_ns)

    def _line(self, file: FoundFile) -> bytes:
        image = self._inspection if self._inspection is not None and self._inspection.is_image(file) else None
        try:
            with open_regular(os.path.join(self._root, file.path)) as opened:
                sha256 = image.read(file, opened, self._limits) if image else sha256_of_rest(opened, self._limits)
        except OSError as error:
            self._listing.tally.unreadable.add(file.path, error)
            if image is not None:
                image.refuse(file, error)
            return b""
        return manifest_line(sha256, file.path)

    def images(self, manifest: str | Unavailable) -> ImagesPart | None:
        """What the images are like that were read, where the folder is one of images."""
        if self._inspection is None:
            return None
        return self._inspection.part(manifest if isinstance(manifest, Unavailable) else "complete", self._paths)

    def _paths(self, ordinals: Collection[int]) -> dict[int, bytes]:
        """The paths of some images, by one more walk: keeping all of them would take too much memory."""
        found: dict[int, bytes] = {}
        ordinal = -1
        try:
            for file in walk(self._root, Tally(), self._limits):
                ordinal += self._inspection is not None and self._inspection.is_image(file)
                if ordinal in ordinals and ordinal not in found:
                    found[ordinal] = file.path
                if len(found) == len(ordinals):
                    break
        except CutShortError:
            return found
        return found

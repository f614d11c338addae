"""The table of the files and folders behind the data."""

from __future__ import annotations

from typing import Any

from archiver.records.data_source import ImagesPart
from archiver.report.markdown import Safe, format_bytes
from archiver.report.tables import Table, made
from archiver.report.values import is_available, known

MAXIMAL_CLASSES = 10
"""Whose counts stand in a row; the record holds all."""


def source_table(stats: Any) -> Table:
    """The files and folders behind the data."""
    rows = [_source_row(part) for part in (known(stats.source_files, ()) if stats is not None else ())]
    return made(("source", "what", "size", "SHA-256"), "llrl", [row for row in rows if row is not None])


def _source_row(part: Any) -> tuple[object, ...] | None:
    if part.kind == "folder":
        complete = "" if is_available(part.listing) else " at least"
        images = f", {_images(part.images)}" if part.images else ""
        digest = known(part.manifest_sha256)
        return part.path, f"{part.file_count:,} files{complete}{images}", format_bytes(part.total_bytes), _short(digest)
    if part.kind == "file":
        return part.path, part.format, format_bytes(part.size_bytes), _short(known(part.sha256))
    if part.kind == "not_described":
        return part.path, part.reason, None, None
    count = known(part.file_count)
    where = f" of {known(part.folder)}" if known(part.folder) else ""
    return (
        (part.name, f"{count:,} files{where}", None, _short(known(part.listing_sha256))) if count is not None else None
    )


def _images(images: ImagesPart) -> str:
    """Such as: 12 images: 12 PNG; cat 8, dog 4; 1 damaged."""
    formats = ", ".join(f"{count:,} {name}" for name, count in images.formats.items())
    classes = known(images.class_counts, {})
    counts = ", ".join(f"{name} {count:,}" for name, count in classes.items())
    faults = {
        "damaged": images.damaged_count,
        "of another format than their names say": images.mismatch_count,
        "in two classes": images.duplicates.conflicting_count,
    }
    parts = [
        f"{images.image_count:,} images" + (f": {formats}" if formats else ""),
        counts if len(classes) <= MAXIMAL_CLASSES else f"{len(classes):,} classes",
        *(f"{count:,} {what}" for what, count in faults.items() if count),
    ]
    return "; ".join(part for part in parts if part)


def _short(digest: str | None) -> Safe | None:
    return Safe(f"`{digest[:12]}`") if digest else None

"""The list of an archive's files, with MD5."""

from typing import ClassVar, Literal

from archiver.records.base import Count, Md5, Part, Real, Record, Sha256, UtcTime
from archiver.records.journal import RunStatus, StopReason


class FilePart(Part):
    """One file."""

    size_bytes: Count
    md5: Md5
    description: str


class Metadata(Record):
    """`results/<name>_metadata.json`: every file of the archive but itself and the manifests, which come after it."""

    KIND: ClassVar[str] = "metadata"
    kind: Literal["metadata"] = "metadata"
    name: str
    archiver_version: str
    sealed: UtcTime
    local_offset_seconds: int
    sealing_seconds: Real
    """What this seal took until now: everything but writing this record and the manifests."""
    status: RunStatus
    stop_reason: StopReason | None
    previous_seal_id: Sha256 | None
    """The seal that this one replaces: SHA-256 of the previous manifest-blake3.txt."""
    total_bytes: Count
    files: dict[str, FilePart]

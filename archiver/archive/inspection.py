"""What is gathered while one archive is verified; the checks write into it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import BinaryIO

from archiver import layout
from archiver.archive.findings import Cause, Finding, FindingCode
from archiver.archive.run import Run
from archiver.archive.unfetched import Unfetched
from archiver.errors import ArchiverError, UnsafeFileError
from archiver.records.manifest import FilePart
from archiver.storage.digests import file_digests, sha256_of
from archiver.storage.hashing_ahead import HashingAhead
from archiver.storage.reading import open_below, read_below, require_stored

MAXIMAL_EXPLAINING_BYTES = 256 << 20
"""So much is read, of one archive, to explain faults."""

MAXIMAL_SIGNATURE_BYTES = 8 << 20
"""Enough for a signature over 25,000 files."""

MAXIMAL_FINDINGS = 1000
"""Of one code; more are counted. A stranger's manifest may list a million files that are not there."""
MAXIMAL_CHARACTERS = 4000
"""Of the place or the message of a finding."""


@dataclass
class Inspection:
    """What is gathered while one archive is verified."""

    run: Run
    hashing_ahead: HashingAhead | None = None
    """Works out digests of large files since before; None: all are worked out when they are compared."""
    unfetched: Unfetched = field(default_factory=Unfetched)
    """Files that are read elsewhere."""
    findings: list[Finding] = field(default_factory=list)
    information: list[Finding] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of each regular file below the folder."""
    listed: dict[str, dict[str, str]] = field(default_factory=dict)
    """`{algorithm: {path: digest}}` of the manifests that are there."""
    damaged: set[str] = field(default_factory=set)
    """Files whose bytes are not those that were sealed."""
    excused: set[str] = field(default_factory=set)
    """Files of which the journal says that they could not be written."""
    seal_id: str | None = None
    """SHA-256 of the seal file, as it was before a transfer converted it; None where none can be read."""
    undone: dict[str, bytes] = field(default_factory=dict)
    """The sealed bytes of files that a transfer converted, by path; the other checks go on with these."""
    elsewhere: set[str] = field(default_factory=set)
    """Unlisted files that are missing ones under another name; these are reported as missing, once."""
    unlistable: set[str] = field(default_factory=set)
    """Folders that this user may not list."""
    newest_ns: int = 0
    """The latest modification time of a file, in nanoseconds since 1970."""
    signature_bytes: int | None = None
    """Size of the signature file, where there is one that can be read; it is not among `sizes`."""
    signed_by: str | None = None
    tensors_checked: int = 0
    explaining_bytes_left: int = MAXIMAL_EXPLAINING_BYTES
    reported: set[tuple[FindingCode, str]] = field(default_factory=set)
    _counts: Counter[tuple[bool, FindingCode]] = field(default_factory=Counter)

    def find(self, code: FindingCode, path: str, message: str, cause: Cause | None = None) -> None:
        """Report a fault."""
        self._note(self.findings, Finding(code, path, message, cause))
        self.reported.add((code, path))

    def _note(self, noted: list[Finding], finding: Finding) -> None:
        kind = (noted is self.findings, finding.code)
        self._counts[kind] += 1
        if self._counts[kind] <= MAXIMAL_FINDINGS:
            noted.append(replace(finding, path=_cut(finding.path), message=_cut(finding.message)))

    def count_the_rest(self) -> None:
        """Say how many there are of which only the first `MAXIMAL_FINDINGS` were kept."""
        for (is_fault, code), count in self._counts.items():
            if count > MAXIMAL_FINDINGS:
                noted = self.findings if is_fault else self.information
                noted.append(Finding(code, "", f"and {count - MAXIMAL_FINDINGS} more of them"))

    def sha256(self, path: str) -> str | None:
        """SHA-256 of a file as it was before a transfer converted it; None where it cannot be read, which is reported
        elsewhere."""
        if path in self.undone:
            return sha256_of(self.undone[path])
        try:
            with self.open(path) as file:
                return file_digests(file, ("sha256",), maximal_bytes=self.sizes[path])["sha256"]
        except (OSError, ArchiverError):
            return None

    def read(self, path: str, limit: int) -> bytes:
        """All bytes of a file, as they were before a transfer converted them; raises what `read_below` does."""
        return self.undone[path] if path in self.undone else self.read_now(path, limit)

    def read_now(self, path: str, limit: int) -> bytes:
        """All bytes of a file as they are; raises what `read_below` does."""
        if path not in self.unfetched.sizes:
            return read_below(self.run.path, path, limit)
        size = self.unfetched.sizes[path]
        if size > limit:
            raise UnsafeFileError(f"{path}: Received {size} bytes. Expected at most {limit}.")
        with self.unfetched.open(path) as file:
            return file.read()

    def open(self, path: str) -> BinaryIO:
        """A file for reading, here or elsewhere; raises what `open_below` does."""
        return self.unfetched.open(path) if path in self.unfetched.sizes else open_below(self.run.path, path)

    def open_stored(self, path: str) -> BinaryIO:
        """As `open`, a file that is nearly all holes refused; raises what `require_stored` does."""
        file = self.open(path)
        try:
            if path not in self.unfetched.sizes:
                require_stored(file, path)
        except BaseException:
            file.close()
            raise
        return file

    def may_read(self, size_bytes: int) -> bool:
        """Whether so much may still be read to explain faults; it is taken from what is left."""
        if size_bytes > self.explaining_bytes_left:
            return False
        self.explaining_bytes_left -= size_bytes
        return True

    def digest_of(self, path: str, algorithm: str) -> str | None:
        """The sealed digest of a file."""
        return self.listed.get(algorithm, {}).get(path)

    def recorded_bytes(self, path: str) -> int | None:
        """The size of a file when it was sealed, as the metadata says; None where it does not."""
        part = self._recorded.get(path)
        return part.size_bytes if part is not None else None

    @cached_property
    def listed_names(self) -> frozenset[str]:
        """Names, without folders, of the files that the seal lists; to be asked for once the manifests are read."""
        return frozenset(path.rpartition("/")[2] for path in self.listed.get("blake3", ()))

    @cached_property
    def _recorded(self) -> dict[str, FilePart]:
        try:
            metadata = self.run.read_if_there(layout.METADATA)
        except (OSError, ArchiverError):
            return {}
        return metadata.files if metadata is not None else {}

    def is_below_unlistable(self, path: str) -> bool:
        """Whether the file may be there all the same, in a folder that cannot be listed."""
        if not self.unlistable:
            return False
        parts = path.split("/")[:-1]
        return any("/".join(parts[:depth]) in self.unlistable for depth in range(len(parts) + 1))

    def is_explained(self, path: str) -> bool:
        """Whether it was said already why a file is not there."""
        return ("missing", path) in self.reported or self.is_below_unlistable(path)

    def inform(self, code: FindingCode, path: str, message: str) -> None:
        """Report something that is no fault."""
        self._note(self.information, Finding(code, path, message))


def _cut(text: str) -> str:
    return text if len(text) <= MAXIMAL_CHARACTERS else f"{text[:MAXIMAL_CHARACTERS]} ..."

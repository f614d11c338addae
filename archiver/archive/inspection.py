"""What is gathered while one archive is verified; the checks write into it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from archiver.archive.findings import Finding, FindingCode
from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.storage.digests import file_digests
from archiver.storage.reading import open_below

MAXIMAL_FINDINGS = 1000
"""Of one code; more are counted. A stranger's manifest may list a million files that are not there."""
MAXIMAL_CHARACTERS = 4000
"""Of the place or the message of a finding."""


@dataclass
class Inspection:
    """What is gathered while one archive is verified."""

    run: Run
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
    tensors_checked: int = 0
    reported: set[tuple[FindingCode, str]] = field(default_factory=set)
    _counts: Counter[tuple[bool, FindingCode]] = field(default_factory=Counter)

    def find(self, code: FindingCode, path: str, message: str) -> None:
        """Report a fault."""
        self._note(self.findings, code, path, message)
        self.reported.add((code, path))

    def _note(self, noted: list[Finding], code: FindingCode, path: str, message: str) -> None:
        kind = (noted is self.findings, code)
        self._counts[kind] += 1
        if self._counts[kind] <= MAXIMAL_FINDINGS:
            noted.append(Finding(code, _cut(path), _cut(message)))

    def count_the_rest(self) -> None:
        """Say how many there are of which only the first `MAXIMAL_FINDINGS` were kept."""
        for (is_fault, code), count in self._counts.items():
            if count > MAXIMAL_FINDINGS:
                noted = self.findings if is_fault else self.information
                noted.append(Finding(code, "", f"and {count - MAXIMAL_FINDINGS} more of them"))

    def sha256(self, path: str) -> str | None:
        """SHA-256 of a file; None where it cannot be read, which is reported elsewhere."""
        try:
            with open_below(self.run.path, path) as file:
                return file_digests(file, ("sha256",), maximal_bytes=self.sizes[path])["sha256"]
        except (OSError, ArchiverError):
            return None

    def inform(self, code: FindingCode, path: str, message: str) -> None:
        """Report something that is no fault."""
        self._note(self.information, code, path, message)


def _cut(text: str) -> str:
    return text if len(text) <= MAXIMAL_CHARACTERS else f"{text[:MAXIMAL_CHARACTERS]} ..."

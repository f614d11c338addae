"""What is gathered while one archive is verified; the checks write into it."""

from __future__ import annotations

from dataclasses import dataclass, field

from archiver.archive.findings import Finding, FindingCode
from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.storage.digests import file_digests
from archiver.storage.reading import open_below


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

    def find(self, code: FindingCode, path: str, message: str) -> None:
        """Report a fault."""
        self.findings.append(Finding(code, path, message))
        self.reported.add((code, path))

    def sha256(self, path: str) -> str | None:
        """SHA-256 of a file; None where it cannot be read, which is reported elsewhere."""
        try:
            with open_below(self.run.path, path) as file:
                return file_digests(file, ("sha256",))["sha256"]
        except (OSError, ArchiverError):
            return None

    def inform(self, code: FindingCode, path: str, message: str) -> None:
        """Report something that is no fault."""
        self.information.append(Finding(code, path, message))

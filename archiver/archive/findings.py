"""What verifying reports."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal

from archiver.errors import FindingsError

FindingCode = Literal[
    "not_sealed",
    "manifest",
    "missing",
    "changed",
    "unlisted",
    "unsafe_path",
    "not_a_regular_file",
    "unreadable",
    "record",
    "schema",
    "journal",
    "disagreement",
    "seal_chain",
    "tensor",
    "not_comparable",
    "unknown_file",
    "step_failed",
    "hard_link",
    "needs_trust",
    "secret",
    "published",
    "seal_id",
    "signature",
    "clock",
    "unportable_name",
    "replicas",
    "worker",
]

Cause = Literal[
    "crlf",
    "line_feeds",
    "byte_order_mark",
    "renamed",
    "moved",
    "cut_short",
    "zeros",
    "no_permission",
    "left_behind",
    "pointer",
]
"""What happened on the way, where that can be told."""

CAUSES: dict[Cause, str] = {
    "crlf": "line feeds were turned into CRLF; copy it as binary (Git: `* -text` in a .gitattributes beside it)",
    "line_feeds": "line ends were changed; copy the archive as binary",
    "byte_order_mark": "a byte order mark was put before the text",
    "renamed": "files have other names, and their bytes",
    "moved": "files are elsewhere in the folder, with their bytes",
    "cut_short": "files are cut short; copy them again",
    "zeros": "zeros stand where bytes were; copy the files again",
    "no_permission": "this user may not read them",
    "left_behind": "other programs left files here",
    "pointer": "pointers stand in place of files; get these",
}


@dataclass(frozen=True)
class Finding:
    """One thing that verify reports."""

    code: FindingCode
    path: str
    """Path in the archive; empty for the archive as a whole. May be followed by `#/json/pointer`."""
    message: str
    cause: Cause | None = None
    """What happened, where there is an explanation other than a change of the content; still a finding."""

    def describe(self) -> str:
        """One line for a reader, without control characters."""
        return printable(f"[{self.code}] {self.path}: {self.message}" if self.path else f"[{self.code}] {self.message}")


def printable(text: str) -> str:
    """`text` on one line: what a stranger wrote must not move the cursor or turn the text around."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


@dataclass(frozen=True)
class VerifyReport:
    """The outcome of verifying one archive."""

    path: str
    name: str
    status: str
    seal_id: str | None
    algorithms: tuple[str, ...]
    files_checked: int
    bytes_checked: int
    findings: tuple[Finding, ...]
    information: tuple[Finding, ...]
    """What a reader should know, and what is no fault."""
    tensors_checked: int = 0
    wrapping: Literal["bag", "zip"] | None = None
    """What the archive came in; its paths are then those in the bag or zip file."""
    expected_seal_id: str | None = None
    """What the caller gave as `expect`."""
    signed_by: str | None = None
    """SHA-256 of the public key (in PEM) with which the signature was found to be good; None where it was not."""

    @property
    def is_whole(self) -> bool:
        """Whether there is no finding."""
        return not self.findings

    def raise_for_findings(self) -> None:
        """Raise unless the archive is whole.

        Raises:
            FindingsError: it is not; the message lists the findings.
        """
        if self.findings:
            lines = "\n".join(finding.describe() for finding in self.findings)
            raise FindingsError(f"{self.path} is not whole: {len(self.findings)} finding(s)\n{lines}")

    def checked(self) -> str:
        """What was checked, in one line."""
        tensors = f", {self.tensors_checked} tensors" if self.tensors_checked else ""
        algorithms = ", ".join(self.algorithms)
        return f"checked {self.files_checked} files, {self.bytes_checked} bytes ({algorithms}){tensors}"

    def causes(self) -> list[str]:
        """What several findings have in common, a line for each: `12 of 14 findings: text was turned into CRLF`."""
        counts = Counter(finding.cause for finding in self.findings if finding.cause is not None)
        total = len(self.findings)
        return [f"{count} of {total} findings: {CAUSES[cause]}" for cause, count in counts.items() if count > 1]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON, for `--format json`."""
        return asdict(self) | {"is_whole": self.is_whole}

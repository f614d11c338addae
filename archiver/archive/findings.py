"""What verifying reports."""

from __future__ import annotations

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
    "unportable_name",
]


@dataclass(frozen=True)
class Finding:
    """One thing that verify reports."""

    code: FindingCode
    path: str
    """Path in the archive; empty for the archive as a whole. May be followed by `#/json/pointer`."""
    message: str

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

    def as_json(self) -> dict[str, Any]:
        """Plain JSON, for `--format json`."""
        return asdict(self) | {"is_whole": self.is_whole}

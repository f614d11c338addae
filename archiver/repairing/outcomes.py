"""What repairing reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from archiver.archive.findings import Finding, printable

What = Literal["restored", "rebuilt", "not_repaired", "left_out"]
"""`restored`: every byte is again what was sealed. `rebuilt`: a new file of the recorded tensors. `not_repaired`: as
damaged as it was. `left_out`: what no manifest lists is not copied."""


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    path: str
    what: What
    how: str
    """From what and by which means; for what was not repaired, why not."""
    sha256_before: str | None = None
    """Of the damaged file; None where there was none, or none that can be read."""
    sha256_after: str | None = None

    def describe(self) -> str:
        """One line for a reader, without control characters."""
        return printable(f"{self.what.replace('_', ' ')}: {self.path}: {self.how}")


@dataclass(frozen=True)
class RepairReport:
    """The outcome of repairing one archive."""

    source: str
    output: str | None
    """The new folder; None where nothing could be repaired, and none was made."""
    name: str
    outcomes: tuple[Outcome, ...]
    seal_id: str | None
    """Of the new folder."""
    original_seal_id: str | None
    """The seal that the damaged archive had, where that is known. Equal to `seal_id` if every byte is as it was."""
    findings: tuple[Finding, ...]
    """What verify says of the new folder."""

    @property
    def is_whole(self) -> bool:
        """Whether there is a new folder in which verify finds nothing."""
        return self.output is not None and not self.findings

    def paths(self, what: What) -> list[str]:
        """The files with this outcome."""
        return [outcome.path for outcome in self.outcomes if outcome.what == what]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON, for `--format json`."""
        return asdict(self) | {"is_whole": self.is_whole}

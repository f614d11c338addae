"""What `archiver verify` prints of a report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archiver.archive.findings import Finding, VerifyReport

MAXIMAL_ALIKE = 3
"""Notes that differ in their path only, each on a line of its own; of more, one line tells."""


def as_json(reports: list[VerifyReport]) -> str:
    """A list of reports, for other programs."""
    import json

    # In ASCII, since the name of a file may be no text at all, and the terminal may have another encoding.
    return json.dumps([report.as_json() for report in reports], indent=2)


def as_text(report: VerifyReport) -> str:
    """One report, for a reader."""
    from archiver.archive.findings import printable

    head = f"{report.path}: {'whole' if report.is_whole else f'{len(report.findings)} finding(s)'}"
    lines = [head, f"  status: {report.status}", f"  {report.checked()}"]
    if report.seal_id:
        is_expected = ", as expected" if report.seal_id == report.expected_seal_id else ""
        lines.append(f"  seal id: {report.seal_id}{is_expected}")
    if report.signed_by:
        lines.append(f"  signed with the key {report.signed_by}")
    lines += [f"  in short: {line}" for line in report.causes()]
    lines += [f"  FINDING {finding.describe()}" for finding in report.findings]
    lines += [f"  note: {text}" for text in _notes(report.information)]
    return "\n".join(map(printable, lines))


def _notes(information: tuple[Finding, ...]) -> Iterator[str]:
    """One line for each, but for files of which there is the same to say: a bag shares all of them with its run."""
    alike: dict[tuple[str, str], list[Finding]] = {}
    for finding in information:
        alike.setdefault((finding.code, finding.message), []).append(finding)
    for (code, message), group in alike.items():
        if len(group) > MAXIMAL_ALIKE:
            yield f"[{code}] {group[0].path} and {len(group) - 1} more files: {message}"
        else:
            yield from (finding.describe() for finding in group)

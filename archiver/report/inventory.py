"""The list of an archive's files, as the report shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from archiver.report.markdown import format_bytes, markdown_text


@dataclass(frozen=True)
class InventoryLine:
    """One file of the archive."""

    path: str
    size_bytes: int
    md5: str
    description: str


def inventory_table(lines: Iterable[InventoryLine]) -> str:
    """The files as a Markdown table."""
    head = "| file | what it is | size | MD5 |\n|---|---|---:|---|\n"
    rows = (
        f"| {markdown_text(line.path)} | {markdown_text(line.description)} | {format_bytes(line.size_bytes)} "
        f"| `{line.md5}` |"
        for line in lines
    )
    return head + "\n".join(rows)

"""The list of an archive's files, as the report shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from archiver.archive.summary import counted
from archiver.layout import MANIFEST_MD5, SCHEMAS
from archiver.report.markdown import format_bytes, markdown_text

_SCHEMA_FOLDER = SCHEMAS.pattern.partition("*")[0]


@dataclass(frozen=True)
class InventoryLine:
    """One file of the archive."""

    path: str
    size_bytes: int
    md5: str
    description: str


def inventory_summary(lines: Sequence[InventoryLine]) -> str:
    """How many files there are and how large they are, in one sentence."""
    size = format_bytes(sum(line.size_bytes for line in lines))
    return (
        f"{counted(len(lines), 'file')}, {size}, without this page and what is written after it: the crate, "
        "the list of digests in `results/` and the manifests, which cover this page too."
    )


def inventory_table(lines: Iterable[InventoryLine]) -> str:
    """The files as a Markdown table; the schemas, which are the same in every archive, are one line."""
    head = "| file | what it is | size | MD5 |\n| --- | --- | --: | --- |\n"
    rows: dict[str, str] = {}
    schemas: list[InventoryLine] = []
    for line in lines:
        if line.path.startswith(_SCHEMA_FOLDER):
            schemas.append(line)
            rows[_SCHEMA_FOLDER] = _schemas_row(schemas)
        else:
            rows[line.path] = _row(line.path, line.description, line.size_bytes, f"`{line.md5}`")
    return head + "\n".join(rows.values())


def _schemas_row(lines: Sequence[InventoryLine]) -> str:
    what = f"JSON Schemas of the records: {counted(len(lines), 'file')}"
    size = sum(line.size_bytes for line in lines)
    return _row(_SCHEMA_FOLDER, what, size, f"in `{MANIFEST_MD5.pattern}`")


def _row(path: str, description: str, size_bytes: int, md5: str) -> str:
    return f"| {markdown_text(path)} | {markdown_text(description)} | {format_bytes(size_bytes)} | {md5} |"

"""The README of a run: the template `README.md.j2`, filled with its records."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from archiver import layout
from archiver._resources import resource_folder
from archiver.archive.run import Run
from archiver.archive.summary import counted
from archiver.errors import ArchiverError
from archiver.records.base import Part
from archiver.report.inventory import InventoryLine, inventory_table
from archiver.report.markdown import (
    Safe,
    format_bytes,
    format_number,
    format_seconds,
    in_words,
    markdown_text,
    short_name,
)

INVENTORY_MARK = "<!-- archiver: inventory -->"
SUMMARY_MARK = "<!-- archiver: summary -->"


def render_readme(run: Run) -> str:
    """The report's text; `fill_inventory` completes it when the hashes are known.

    Raises:
        jinja2.TemplateError: the template is at fault.
    """
    text: str = _environment().get_template("README.md.j2").render(context(run))
    return text


@functools.cache
def _environment() -> Any:
    """Parsing the template takes ten times as long as filling it, and a run is sealed more than once."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(resource_folder("templates")),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - `finalize` escapes for Markdown, which is stricter
        finalize=markdown_text,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "number": format_number,
        "size": format_bytes,
        "duration": format_seconds,
        "in_words": in_words,
        "counted": counted,
        "short_name": short_name,
        "safe": Safe,
    }
    return environment


def context(run: Run) -> dict[str, Any]:
    """What a template gets: records by kind (None where there is none), the status, the mark of the inventory."""
    records = {entry.record.KIND: _read(run, entry) for entry in layout.RECORD_FILES}
    return records | {
        "name": run.name,
        "status": run.status,
        "model_files": {kind: file.path(run.name) for kind, file in layout.MODEL_FORMATS.items() if run.has(file)},
        "best_weights": layout.BEST_WEIGHTS.path(run.name) if run.has(layout.BEST_WEIGHTS) else None,
        "has_patch": run.has(layout.PATCH),
        "has_submodules_patch": run.has(layout.SUBMODULES_PATCH),
        "inventory": Safe(INVENTORY_MARK),
        "summary_mark": Safe(SUMMARY_MARK),
        "is_available": is_available,
    }


def _read(run: Run, entry: layout.RecordFile[Any]) -> Any:
    try:
        return run.read_if_there(entry)
    except ArchiverError:
        return None


def is_available(value: Any) -> bool:
    """Whether a field holds a value, not the reason why there is none."""
    return value is not None and not (isinstance(value, Part) and hasattr(value, "unavailable"))


def render_without_records(run: Run) -> str:
    """A report for the case that the template fails: it still says what the folder is."""
    return (
        f"# {markdown_text(run.name)}\n\n"
        f"An archive of a Keras training run. Status: {markdown_text(run.status.describe())}.\n\n"
        "The full report could not be made; journal.jsonl says why.\n\n"
        f"## What is in this archive\n\n{INVENTORY_MARK}\n"
    )


def fill_inventory(report: str, lines: Sequence[InventoryLine]) -> str:
    """The report with its inventory in place of the mark."""
    total = sum(line.size_bytes for line in lines)
    summary = f"{len(lines)} files, {format_bytes(total)}"
    return report.replace(INVENTORY_MARK, inventory_table(lines)).replace(SUMMARY_MARK, summary)

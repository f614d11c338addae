"""The README of a run: the template `README.md.j2`, filled with its records."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archiver._resources import resource_folder
from archiver.archive.run import Run
from archiver.archive.summary import counted
from archiver.report.context import INVENTORY_MARK, SUMMARY_MARK, Records, context
from archiver.report.folding import folded, worst_first
from archiver.report.inventory import InventoryLine, inventory_summary, inventory_table
from archiver.report.markdown import (
    Safe,
    format_bytes,
    format_number,
    format_seconds,
    in_words,
    markdown_text,
    short_name,
)
from archiver.report.notes import joined
from archiver.report.resource_table import use_table


def render_readme(run: Run, records: Records, templates: Path | None = None) -> str:
    """The report's text; `fill_inventory` completes it when the hashes are known.

    Args:
        run: the archive.
        records: its records.
        templates: a folder whose templates take the place of ours of the same names.

    Raises:
        jinja2.TemplateError: the template is at fault.
    """
    text: str = template_environment(templates).get_template("README.md.j2").render(context(run, records))
    return text


@functools.cache
def template_environment(templates: Path | None = None) -> Any:
    """Parsing the template takes ten times as long as filling it, and a run is sealed more than once."""
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    folders = [folder for folder in (templates, resource_folder("templates")) if folder is not None]
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folders),
        undefined=StrictUndefined,
        autoescape=False,
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
        "folded": folded,
        "joined": joined,
        "use_table": use_table,
        "worst_first": worst_first,
        "safe": Safe,
    }
    return environment


def render_without_records(run: Run) -> str:
    """A report for the case that the template fails: it still says what the folder is."""
    return (
        f"# {markdown_text(run.name)}\n\n"
        f"An archive of a Keras training run. Status: {markdown_text(run.status.describe())}.\n\n"
        "The full report could not be made; journal.jsonl says why.\n\n"
        f"## What is in this archive\n\n{INVENTORY_MARK}\n"
    )


def fill_inventory(report: str, lines: Sequence[InventoryLine]) -> str:
    """The report with its inventory in place of the marks, where these stand alone on a line: elsewhere, as in code or
    in the front matter, they are somebody's text."""
    for mark, text in ((INVENTORY_MARK, inventory_table(lines)), (SUMMARY_MARK, inventory_summary(lines))):
        report = re.sub(f"^{re.escape(mark)}$", lambda _: text, report, flags=re.MULTILINE)  # noqa: B023
    return report

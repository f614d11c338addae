"""The report of a run: README.md from a template, and README.html from README.md."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archiver import layout
from archiver._resources import resource_folder
from archiver.archive.run import Run
from archiver.errors import ArgumentError, UnsafeFileError
from archiver.report.context import Records
from archiver.report.inventory import InventoryLine
from archiver.report.page import fill_page, render_page
from archiver.report.readme import fill_inventory, render_readme, render_without_records
from archiver.storage.reading import read_below

MAXIMAL_FIGURE_BYTES = 16 << 20
"""Of one figure, which becomes a part of the page."""


@dataclass(frozen=True)
class ReportOptions:
    """How a report is made."""

    templates: Path | None = None
    """A folder whose templates take the place of ours of the same names."""
    figures: bool = True
    """Whether figures are drawn."""


@dataclass(frozen=True)
class Report:
    """Both documents, complete but for the inventory."""

    markdown: str
    html: str

    def filled(self, lines: Sequence[InventoryLine]) -> dict[str, str]:
        """Both documents by path, with the inventory in place of its mark."""
        return {
            layout.README.pattern: fill_inventory(self.markdown, lines),
            layout.README_HTML.pattern: fill_page(self.html, lines),
        }


def checked_templates(folder: str | os.PathLike[str]) -> Path:
    """A folder of templates that take the place of ours.

    Raises:
        ArgumentError: it is no folder, or none of its files has the name of one of our templates.
    """
    path = Path(os.path.abspath(folder))
    folder_of_ours = resource_folder("templates")
    ours = sorted(each.relative_to(folder_of_ours).as_posix() for each in folder_of_ours.rglob("*.md.j2"))
    if not path.is_dir() or not any((path / name).is_file() for name in ours):
        what = "is no folder" if not path.is_dir() else "holds no template of ours"
        raise ArgumentError(
            f"Received templates={str(folder)!r}, which {what}. Expected one of {', '.join(ours)} in it."
        )
    return path


def render(run: Run, records: Records, options: ReportOptions) -> Report:
    """The report of a run.

    Raises:
        jinja2.TemplateError: a template is at fault.
    """
    markdown = render_readme(run, records, options.templates)
    return Report(markdown, render_page(markdown, run.name, _figures(run)))


def plain_report(run: Run) -> Report:
    """A report for the case that the full one cannot be made: it still says what the folder is."""
    markdown = render_without_records(run)
    return Report(markdown, render_page(markdown, run.name, {}))


def _figures(run: Run) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path in sorted((run.path / "figures").glob("*.svg")):
        with contextlib.suppress(OSError, UnsafeFileError):  # a link, or larger than a figure is; the page goes without
            found[f"figures/{path.name}"] = read_below(run.path, f"figures/{path.name}", MAXIMAL_FIGURE_BYTES)
    return found

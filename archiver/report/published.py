"""What a public copy says of itself in its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archiver.archive.run import Run
from archiver.archive.summary import counted
from archiver.errors import ArchiverError
from archiver.report.markdown import Safe, markdown_text
from archiver.storage.journal import events_named

MAXIMAL_FILES = 20


def published(run: Run) -> dict[str, Any] | None:
    """Of a public copy: the seal of the original, what was left out, what was replaced. None of any other archive."""
    details = published_details(run)
    if details is None:
        return None
    files = _mapping(details.get("left_out_files"))
    shown = [
        (markdown_text(path, 120), markdown_text(str(why), 200)) for path, why in list(files.items())[:MAXIMAL_FILES]
    ]
    return {
        "original_seal_id": markdown_text(str(details.get("original_seal_id")), 64),
        "left_out": Safe(", ".join(markdown_text(each, 60) for each in _texts(details.get("left_out")))),
        "replaced": Safe(", ".join(f"{markdown_text(counted(n, kind), 60)}" for kind, n in _counts(details))),
        "changed_files": Safe(
            ", ".join(f"`{markdown_text(each, 120)}`" for each in _texts(details.get("changed_files")))
        ),
        "files": shown,
        "more_files": max(0, len(files) - MAXIMAL_FILES),
        "kept_names": bool(details.get("kept_names")),
    }


def published_details(run: Run) -> dict[str, Any] | None:
    """The details of the journal's last event `published`."""
    try:
        events = list(events_named(run.journal.read(), "published"))
    except ArchiverError:
        return None
    return events[-1].details if events else None


def _counts(details: dict[str, Any]) -> list[tuple[str, int]]:
    found = _mapping(details.get("replaced"))
    return [(str(kind), count) for kind, count in found.items() if isinstance(count, int)]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []

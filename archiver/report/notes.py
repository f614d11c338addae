"""What the user said of a run, for the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from archiver.report.markdown import Safe, in_words, markdown_text

TITLES = {
    "intended_use": "Intended use",
    "limitations": "Limitations",
    "ethical_considerations": "Ethical considerations",
    "license": "License",
    "citation": "Citation",
    "contact": "Contact",
}
"""Keys of `notes=` that have a title and a place of their own, in this order."""

MAXIMAL_PAIRS = 100
_MAXIMAL_TEXT = 5000


@dataclass(frozen=True)
class Note:
    """One of the user's notes."""

    title: Safe
    """Empty for notes that are one text."""
    text: Safe


def notes(run: Any) -> list[Note]:
    """The notes, those with a place of their own first."""
    given = run.notes if run is not None else None
    if not given:
        return []
    if not isinstance(given, dict):
        return [Note(Safe(""), markdown_text(in_words(given), _MAXIMAL_TEXT))]
    known = [key for key in TITLES if key in given]
    rest = [key for key in given if key not in TITLES]
    return [
        Note(_title(key), markdown_text(in_words(given[key]), _MAXIMAL_TEXT))
        for key in [*known, *rest][:MAXIMAL_PAIRS]
        if given[key] not in (None, "", [], {})
    ]


def _title(key: str) -> Safe:
    return Safe(TITLES[key]) if key in TITLES else markdown_text(key[:1].upper() + key[1:].replace("_", " "), 80)


def pairs(value: Any) -> list[tuple[Safe, Safe]]:
    """JSON of the user as rows: an object's keys with their values in words, anything else as one row without key."""
    if value is None or value in ("", [], {}):
        return []
    if not isinstance(value, dict):
        return [(Safe(""), markdown_text(in_words(value), _MAXIMAL_TEXT))]
    items = list(value.items())[:MAXIMAL_PAIRS]
    return [(markdown_text(str(key), 80), markdown_text(in_words(item), 300)) for key, item in items]


def joined(rows: list[tuple[Safe, Safe]]) -> Safe:
    """Rows in one line: `name: digits; origin: UCI`."""
    return Safe("; ".join(f"{key}: {text}" if key else text for key, text in rows))

"""Who made a run, and under which license it may be used: as far as the user's notes say, since nothing else does."""

from __future__ import annotations

import re
from typing import Any

from archiver import layout
from archiver.report.card import LICENSES
from archiver.report.crate.graph import Graph, Reference, local
from archiver.report.markdown import in_words

MAXIMAL_AUTHORS = 20

_SPDX_SPELLING = {
    "apache-2.0": "Apache-2.0", "artistic-2.0": "Artistic-2.0", "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause", "unlicense": "Unlicense", "zlib": "Zlib",
}  # fmt: skip
_NOT_SPDX = frozenset(
    ("openrail", "bigscience-openrail-m", "creativeml-openrail-m", "bsd", "cc", "gpl", "lgpl", "unknown", "other")
)
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(?:/[A-Za-z0-9._~/-]*)?")


def add_license(graph: Graph, notes: dict[str, Any]) -> Reference:
    """The license that `notes={"license": ...}` gives, or an entity that says there is none."""
    given = notes.get("license")
    if not isinstance(given, str) or not given.strip() or given.strip().lower() == "unknown":
        description = "No license was given when this run was archived: whoever made it decides how it may be used."
        return graph.add("#license", "CreativeWork", name="No license given", description=description)
    name = given.strip()
    return graph.add(
        _license_identifier(name), "CreativeWork", name=name, description="The license that the user gave."
    )


def _license_identifier(name: str) -> str:
    key = name.lower()
    if key in LICENSES - _NOT_SPDX:
        return f"https://spdx.org/licenses/{_SPDX_SPELLING.get(key, key.upper())}"
    return name if _URL.fullmatch(name) else "#license"


def add_people(graph: Graph, notes: dict[str, Any]) -> tuple[list[Reference], Reference]:
    """Authors and publisher: those of `notes={"author": ..., "affiliation": ...}`; archiver records nobody's name."""
    publisher = _add_organization(graph, notes.get("affiliation"))
    authors = [
        graph.add(local("author", number), "Person", name=name, affiliation=publisher)
        for number, name in enumerate(_names(notes.get("author"))[:MAXIMAL_AUTHORS], start=1)
    ]
    return authors or [publisher], publisher


def _names(given: Any) -> list[str]:
    names = given if isinstance(given, list) else [given]
    return [in_words(name).strip() for name in names if name and in_words(name).strip()]


def _add_organization(graph: Graph, affiliation: Any) -> Reference:
    names = _names(affiliation)
    name = names[0] if names else "Not recorded"
    description = None if names else "Whoever trained this model: no names of people or organisations are recorded."
    # A crate's organisations should have an address; the page that tells what is known of the run is the nearest one.
    return graph.add("#organization", "Organization", name=name, description=description, url=layout.README.pattern)

"""Whether the RO-Crate describes the files that are there: each once, with its size and its SHA-256."""

from __future__ import annotations

import json
from typing import Any

from archiver import layout
from archiver.archive.documents import require_few_values
from archiver.archive.inspection import Inspection
from archiver.errors import ArchiverError
from archiver.storage.iris import path_of
from archiver.storage.manifests import MANIFEST_NAMES

MAXIMAL_CRATE_BYTES = 64 << 20
MAXIMAL_CRATE_FILES = 10_000
"""So many files a crate lists; of an archive that has more, some of those that the user added are left out."""


def check_crate(inspection: Inspection) -> None:
    """Compare the crate with the files; an archive of before there were crates has none."""
    crate = layout.CRATE.pattern
    if crate not in inspection.sizes or crate in inspection.damaged:
        return
    entities = _read(inspection)
    if entities is None:
        return
    described = _described(inspection, entities)
    for path, (place, entity) in described.items():
        _check_file(inspection, path, place, entity)
    if len(described) >= MAXIMAL_CRATE_FILES:
        return
    sealed = inspection.listed.get("blake3", {}).keys() | {layout.MANIFEST_BLAKE3.pattern}
    for path in sorted((inspection.sizes.keys() & sealed) - described.keys() - {crate}):
        inspection.find("disagreement", crate, f"does not describe {path}")


def _read(inspection: Inspection) -> list[Any] | None:
    crate = layout.CRATE.pattern
    try:
        data = inspection.read_now(crate, MAXIMAL_CRATE_BYTES)
        require_few_values(data, crate)
        document = json.loads(data)
    except (OSError, ArchiverError, ValueError, RecursionError) as error:
        inspection.find("record", crate, f"cannot be read as JSON: {error}")
        return None
    graph = document.get("@graph") if isinstance(document, dict) else None
    if not isinstance(graph, list):
        inspection.find("record", f"{crate}#/@graph", f"received {type(graph).__name__}, expected a list of entities")
        return None
    return graph


def _described(inspection: Inspection, entities: list[Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """By path: where in the crate a file is described, and its entity."""
    described: dict[str, tuple[str, dict[str, Any]]] = {}
    for number, entity in enumerate(entities):
        place = f"{layout.CRATE.pattern}#/@graph/{number}"
        if not isinstance(entity, dict) or "File" not in _types(entity):
            continue
        try:
            path = path_of(str(entity.get("@id")))
        except ArchiverError as error:
            inspection.find("disagreement", f"{place}/@id", str(error))
            continue
        if path in described:
            inspection.find("disagreement", place, f"describes {path} once more")
        described[path] = (place, entity)
    return described


def _types(entity: dict[str, Any]) -> list[Any]:
    types = entity.get("@type")
    return types if isinstance(types, list) else [types]


def _check_file(inspection: Inspection, path: str, place: str, entity: dict[str, Any]) -> None:
    if path not in inspection.sizes:
        if not inspection.is_explained(path):
            inspection.find("disagreement", place, f"describes {path}, which is not there")
        return
    if path in (layout.METADATA.path(inspection.run.name), *MANIFEST_NAMES.values()):
        return  # written after the crate
    expected = {"contentSize": str(inspection.sizes[path]), "sha256": inspection.listed.get("sha256", {}).get(path)}
    for name, value in expected.items():
        received = entity.get(name)
        if value is not None and received != value and path not in inspection.damaged:
            message = f"received {str(received)[:80]}, expected {value}, that of {path}"
            inspection.find("disagreement", f"{place}/{name}", message)

"""Files and folders as data entities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from archiver.report.crate.formats import encoding_format
from archiver.report.crate.graph import Graph, Reference, entity, reference
from archiver.storage.iris import iri_of

_FOLDERS = {
    "configs": "what the run is and how it was configured",
    "environment": "machine, Python, packages, repository and source",
    "environment/source": "source files that ran",
    "figures": "figures of the report",
    "files": "what the user added",
    "models": "models, their weights and the checkpoint",
    "results": "results, metrics, data and resources used",
    "schemas": "JSON Schemas of the records",
    "traces": "time series",
}


@dataclass(frozen=True)
class CrateFile:
    """One file of the archive."""

    path: str
    description: str
    size_bytes: int | None = None
    """None for a file that is written after the crate, and the digest of which cannot stand in it."""
    sha256: str | None = None


def add_files(graph: Graph, files: Sequence[CrateFile], left_out: str) -> list[Reference]:
    """Add the files and the folders that they lie in.

    Args:
        graph: where to add them.
        files: in the order in which they shall stand.
        left_out: what the folder `files` says of those that are not among these; may be empty.

    Returns:
        The parts of the root.
    """
    parts: dict[str, dict[str, Reference]] = {"": {}}
    for file in files:
        _add_file(graph, file)
        _link(parts, file.path)
    for folder in sorted(filter(None, parts)):
        found = entity(
            iri_of(f"{folder}/"),
            "Dataset",
            name=folder,
            description=_FOLDERS.get(folder, "folder") + (left_out if folder == "files" else ""),
            hasPart=list(parts[folder].values()),
        )
        graph.entities[found["@id"]] = found
    return list(parts[""].values())


def _add_file(graph: Graph, file: CrateFile) -> None:
    found = entity(
        iri_of(file.path),
        "File",
        name=file.path.rpartition("/")[2],
        description=file.description + ("; written after this document" if file.size_bytes is None else ""),
        contentSize=None if file.size_bytes is None else str(file.size_bytes),
        encodingFormat=encoding_format(graph, file.path),
        sha256=file.sha256,
    )
    graph.entities[found["@id"]] = found


def _link(parts: dict[str, dict[str, Reference]], path: str) -> None:
    """Make the path a part of its folder, and that of the folder above it."""
    child = iri_of(path)
    while path:
        path = path.rstrip("/").rpartition("/")[0]
        parts.setdefault(path, {})[child] = reference(child)
        child = iri_of(f"{path}/")


def file_references(paths: Iterable[str]) -> list[Reference]:
    """References to files."""
    return [reference(iri_of(path)) for path in paths]

"""What files are: media types, and the identifiers of PRONOM, the registry of formats of the UK's National Archives."""

from __future__ import annotations

from archiver.report.crate.graph import Graph, Reference

_PRONOM = "https://www.nationalarchives.gov.uk/PRONOM/"

_FORMATS = {
    "csv": ("text/csv", "x-fmt/18", "Comma Separated Values"),
    "h5": ("application/x-hdf5", None, None),
    "html": ("text/html", None, None),
    "json": ("application/json", "fmt/817", "JSON Data Interchange Format"),
    "jsonl": ("application/jsonl", None, None),
    "keras": ("application/zip", "x-fmt/263", "ZIP Format"),
    "md": ("text/markdown", None, None),
    "npz": ("application/zip", "x-fmt/263", "ZIP Format"),
    "patch": ("text/x-diff", None, None),
    "py": ("text/x-python", None, None),
    "svg": ("image/svg+xml", "fmt/92", "Scalable Vector Graphics 1.1"),
    "toml": ("application/toml", None, None),
    "txt": ("text/plain", "x-fmt/111", "Plain Text File"),
    "zip": ("application/zip", "x-fmt/263", "ZIP Format"),
}
_OTHER = ("application/octet-stream", None, None)
# Keras writes through h5py, which begins a file with a superblock of version 0; other people's may have any version.
_KERAS_HDF5 = ("application/x-hdf5", "fmt/807", "Hierarchical Data Format File 5, superblock version 0")


def encoding_format(graph: Graph, path: str) -> list[str | Reference]:
    """The media type of a file, by its name, and a reference to its entry in PRONOM where it has one."""
    suffix = path.rpartition("/")[2].rpartition(".")[2].lower()
    found = _KERAS_HDF5 if suffix == "h5" and path.startswith("models/") else _FORMATS.get(suffix, _OTHER)
    media_type, number, name = found
    return [media_type] if number is None else [media_type, graph.add(_PRONOM + number, "WebSite", name=name)]

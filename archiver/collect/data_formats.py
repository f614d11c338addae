"""What kind of file something is, by its first bytes where they tell, else by its name."""

from __future__ import annotations

from archiver.collect.image_headers import UNKNOWN, image_format

HEAD_BYTES = 512

_BEGINNINGS = (
    (b"\x93NUMPY", "npy"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"PAR1", "parquet"),
    (b"ARROW1", "arrow"),
    (b"SQLite format 3\0", "sqlite"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstandard"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"ORC", "orc"),
    (b"Obj\x01", "avro"),
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"ID3", "mp3"),
    (b"%PDF-", "pdf"),
)
_SUFFIXES = {
    ".csv": "csv", ".tsv": "tsv", ".txt": "text", ".md": "text", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".xml": "xml", ".yaml": "yaml", ".yml": "yaml", ".tfrecord": "tfrecord", ".tfrecords": "tfrecord", ".pkl": "pickle",
    ".pickle": "pickle", ".mat": "mat", ".feather": "arrow", ".arff": "arff", ".edf": "edf", ".bdf": "bdf",
    ".fif": "fif", ".nii": "nifti", ".dcm": "dicom", ".mp3": "mp3", ".mp4": "mp4", ".xlsx": "xlsx", ".xls": "xls",
    ".tar": "tar", ".zarr": "zarr", ".npz": "npz", ".npy": "npy", ".h5": "hdf5", ".hdf5": "hdf5", ".parquet": "parquet",
}  # fmt: skip
_ZIPS = {".npz": "npz", ".xlsx": "xlsx", ".keras": "keras"}
"""Formats that are a zip inside."""


def data_format(name: str, head: bytes) -> str:
    """`csv`, `npz`, ...; `unknown` where neither content nor name tells.

    Args:
        name: of the file.
        head: its first `HEAD_BYTES` bytes.
    """
    suffix = "." + name.rpartition(".")[2].lower() if "." in name else ""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _ZIPS.get(suffix, "zip")
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    if head[257:262] == b"ustar":
        return "tar"
    for beginning, format_name in _BEGINNINGS:
        if head.startswith(beginning):
            return format_name
    image = image_format(head)
    return image.lower() if image != UNKNOWN else _SUFFIXES.get(suffix, UNKNOWN)

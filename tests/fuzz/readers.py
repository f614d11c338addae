"""What reads bytes of strangers, one function per reader, and good bytes to begin with.

The law: whatever the bytes are, a reader returns or raises an `ArchiverError`, soon and in little memory.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from archiver import layout
from archiver.archive.documents import parse_document
from archiver.archive.outcome import build_history, derived_sections
from archiver.archive.run import Run
from archiver.archive.status import status_of
from archiver.archive.telling import told
from archiver.archive.trust import formula_in, script_in
from archiver.catalog.expressions import parse
from archiver.errors import ArchiverError
from archiver.storage.hdf5_texts import read_root_text
from archiver.storage.journal import parse_journal
from archiver.storage.keras_config import find_code, parse_config, read_keras_config
from archiver.storage.manifests import DIGEST_LENGTHS, parse_manifest
from archiver.storage.tensors import open_tensors
from archiver.storage.zips import SafeZip

Read = Callable[[bytes], object]

MAXIMAL_MEMBER_BYTES = 1 << 20


@dataclass(frozen=True)
class Reader:
    """A reader and files that it can read."""

    read: Read
    seeds: Callable[[], list[bytes]]
    is_text: bool = False
    """Whether changes of JSON are worth trying."""


def manifest(data: bytes) -> None:
    for algorithm in DIGEST_LENGTHS:
        digests, faults = parse_manifest(data, algorithm)
        assert all("\n" not in path for path in digests)
        assert len(faults) <= 2000


def journal(data: bytes) -> None:
    contents = parse_journal(data)
    status_of(contents, sealed=True).describe()
    for event in contents.events:
        told(event.event, event.details)
    derived_sections(contents, build_history(contents))


def document(data: bytes) -> None:
    """Of every kind, since `kind` may be what was changed."""
    for entry in _entries(data):
        parse_document(data, entry.record, "x.json").model_dump_json()


def _entries(data: bytes) -> list[layout.RecordFile]:
    named = [entry for entry in layout.RECORD_FILES if f'"{entry.record.KIND}"'.encode() in data[:500]]
    return named or [layout.RUN]


def zip_file(data: bytes) -> None:
    archive = SafeZip(io.BytesIO(data), "x.zip")
    try:
        for name in list(archive.members)[:20]:
            archive.window(name)
            archive.read(name, MAXIMAL_MEMBER_BYTES)
    finally:
        archive.close()


def _tensors(form: str) -> Read:
    def read(data: bytes) -> None:
        with open_tensors(io.BytesIO(data), form, where="x") as tensors:
            for location in list(tensors.entries)[:20]:
                if tensors.entries[location].size_bytes <= MAXIMAL_MEMBER_BYTES:
                    tensors.digest(location)

    return read


def root_text(data: bytes) -> None:
    read_root_text(io.BytesIO(data), "model_config", where="x")


def keras_file(data: bytes) -> None:
    find_code(read_keras_config(io.BytesIO(data), where="x"))


def keras_config(data: bytes) -> None:
    find_code(parse_config(data, "x"))


def page(data: bytes) -> None:
    script_in(io.BytesIO(data))  # type: ignore[arg-type]


def trace(data: bytes) -> None:
    formula_in(io.BytesIO(data))  # type: ignore[arg-type]


def expression(data: bytes) -> None:
    parse(data.decode("utf-8", "replace"))


@cache
def _archive() -> dict[str, bytes]:
    from archiver.testing import tiny_run

    with tempfile.TemporaryDirectory() as folder:
        run: Run = tiny_run(Path(folder), phases=2, tested=True)
        files = (path for path in run.path.rglob("*") if path.is_file())
        return {path.relative_to(run.path).as_posix(): path.read_bytes() for path in files}


def _files(*suffixes: str) -> Callable[[], list[bytes]]:
    return lambda: [data for path, data in _archive().items() if path.endswith(suffixes)]


def _records() -> list[bytes]:
    paths = {entry.path("tiny") for entry in layout.RECORD_FILES}
    return [data for path, data in _archive().items() if path in paths and len(data) < 20_000]


def _configs() -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(_archive()["models/tiny.keras"])) as archive:
        layer = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "f"}}
        return [
            archive.read("config.json"),
            json.dumps({"class_name": "Model", "config": {"layers": [layer]}}).encode(),
        ]


def _expressions() -> list[bytes]:
    return [
        b"val_accuracy > 0.9 and peak_rss < 4GB",
        b'not (status != "complete" or exception is not null) and `b c` in ("a", 3 MB) or tags contains \'x\'',
    ]


READERS = {
    "manifest": Reader(manifest, _files("manifest-md5.txt", "manifest-sha256.txt", "manifest-blake3.txt")),
    "journal": Reader(journal, _files("journal.jsonl"), is_text=True),
    "document": Reader(document, _records, is_text=True),
    "zip": Reader(zip_file, _files(".npz", ".keras")),
    "npz": Reader(_tensors("npz"), _files(".npz")),
    "hdf5": Reader(_tensors("h5"), _files(".h5")),
    "keras": Reader(_tensors("keras"), _files(".keras")),
    "root_text": Reader(root_text, _files("tiny.h5")),
    "keras_file": Reader(keras_file, _files(".keras")),
    "keras_config": Reader(keras_config, _configs, is_text=True),
    "page": Reader(page, lambda: [b'<script>x</script><p onload="x">', *_files("README.md")()]),
    "trace": Reader(trace, _files(".csv")),
    "expression": Reader(expression, _expressions),
}


def obey(name: str, data: bytes) -> None:
    """Read; an `ArchiverError` is an answer, anything else is a fault of ours."""
    with contextlib.suppress(ArchiverError):
        READERS[name].read(data)

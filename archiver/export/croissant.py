"""The data set a run was trained on, as Croissant 1.1 describes data sets (https://mlcommons.org/croissant/1.1).

Croissant's record sets read files. What an archive knows are facts about samples that it does not hold, so they stand
in record sets with their data inline: splits, arrays, classes, sources. Files whose SHA-256 is known are in
`distribution`, by their names: laid beside the description, they are found and checked.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from archiver import layout
from archiver.archive.run import Run
from archiver.archive.verifying import require_whole
from archiver.export.croissant_tables import record_sets
from archiver.export.output import new_output
from archiver.records.base import Unavailable
from archiver.records.data_source import DataFilePart, DataFolderPart, DataSource
from archiver.records.dataset import DatasetStats
from archiver.records.training import Preprocessing

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{name: f"cr:{name}" for name in (
        "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty",
        "fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5",
        "parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator",
        "source", "subField", "transform",
    )},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}  # fmt: skip
"""The JSON-LD context of the specification, word for word: readers know it without fetching anything."""

STATED = {
    "name": "name",
    "url": "url",
    "license": "license",
    "version": "version",
    "citation": "citeAs",
    "citeAs": "citeAs",
    "published": "datePublished",
    "datePublished": "datePublished",
}
"""What `dataset_source=` may say in a dict, and the property of Croissant that it is."""

MAXIMAL_TEXT = 2000

_MEDIA_TYPES = {
    "csv": "text/csv",
    "hdf5": "application/x-hdf5",
    "json": "application/json",
    "npz": "application/zip",
    "parquet": "application/vnd.apache.parquet",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "zip": "application/zip",
}
_IMAGE_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif"}
_BYTES = "application/octet-stream"


def export_croissant(run: Run, output: Path, *, license_text: str | None = None) -> Path:
    """Describe the data set of a sealed run.

    Args:
        run: the archive.
        output: the JSON-LD file, which is made.
        license_text: the data's licence, best as a URL; None: as `dataset_source=` says.

    Returns:
        `output`.

    Raises:
        ArgumentError: `output` lies in the archive.
        RunStateError: the archive is not sealed or not whole, or there is something at `output`.
        RecordError: it says nothing of its data.
        StorageError: the file system refused; nothing is left at `output`.
    """
    require_whole(run)
    stated = {"license": license_text} if license_text else {}
    text = json.dumps(describe(run, stated), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with new_output(run, output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return output


def describe(run: Run, stated: Mapping[str, str]) -> dict[str, Any]:
    """The description as JSON-LD; `stated` goes before what the archive says."""
    stats = run.read(layout.DATASET_STATS)
    facts = _derived(run, stats) | _stated(stats.source) | dict(stated)
    distribution = list(_distribution(stats))
    protocol = list(_protocol(run.read_if_there(layout.PREPROCESSING)))
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        **facts,
        **({"distribution": distribution} if distribution else {}),
        **({"rai:dataPreprocessingProtocol": protocol} if protocol else {}),
        "recordSet": record_sets(stats),
    }


def _derived(run: Run, stats: DatasetStats) -> dict[str, str]:
    """What can be said of any data set: it is told by the archive, which has a date, a version and a seal."""
    sealed = run.read(layout.METADATA).sealed
    record = run.read(layout.RUN)
    splits = ", ".join(f"{name} {_count(split.sample_count)}" for name, split in stats.splits.items())
    return {
        "name": f"data of {run.name}",
        "description": (
            f"The samples that the training run {run.name} was given ({splits}), as its archive describes them: "
            "statistics and fingerprints, not the samples. Unless the run states others, version and date are those of "
            f"the archive. Seal id of the archive: {run.seal_id}."
        ),
        "version": f"{record.name.version}.0.0",
        "datePublished": sealed.date().isoformat(),
        "citeAs": f"Data of the training run {run.name}; archive with the seal id {run.seal_id}, {sealed:%Y}",
    }


def _count(value: int | Unavailable) -> str:
    return "of unknown size" if isinstance(value, Unavailable) else f"{value:,} samples"


def _stated(source: Any) -> dict[str, str]:
    if not isinstance(source, dict):
        return {}
    texts = {key: str(source[key]) for key in STATED if isinstance(source.get(key), str | int | float)}
    return {STATED[key]: text[:MAXIMAL_TEXT] for key, text in texts.items() if text.strip()}


def _distribution(stats: DatasetStats) -> Iterator[dict[str, Any]]:
    """Files whose SHA-256 is known, and folders."""
    parts: Iterable[DataSource] = () if isinstance(stats.source_files, Unavailable) else stats.source_files
    seen: set[str] = set()
    for part in parts:
        if isinstance(part, DataFilePart | DataFolderPart):
            name = part.path.rstrip("/").rsplit("/", 1)[-1]
            name = "data" if name in ("", ".", "..", "~") else name
            if isinstance(part, DataFolderPart):
                yield {"@id": _fresh_id(name, seen), **_folder(part, name)}
            elif not isinstance(part.sha256, Unavailable):
                yield {"@id": _fresh_id(name, seen), **_file(part, name, part.sha256)}


def _fresh_id(name: str, seen: set[str]) -> str:
    """An identifier that is part of an address as it stands, and that no other file has."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    candidates = (f"files/{plain}", *(f"files/{number}-{plain}" for number in range(2, len(seen) + 2)))
    fresh = next(each for each in candidates if each not in seen)
    seen.add(fresh)
    return fresh


def _file(part: DataFilePart, name: str, sha256: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "name": name,
        "description": f"{part.name or 'source'}: read from {part.path}",
        "contentUrl": name,
        "contentSize": f"{part.size_bytes} B",
        "encodingFormat": _MEDIA_TYPES.get(part.format, _BYTES),
        "sha256": sha256,
    }


def _folder(part: DataFolderPart, name: str) -> dict[str, Any]:
    first = next((suffix for suffix in part.suffixes if suffix in _IMAGE_TYPES), None)
    digest = part.manifest_sha256
    known = "" if isinstance(digest, Unavailable) else f"; SHA-256 of its manifest {digest}"
    return {
        "@type": "cr:FileSet",
        "name": name,
        "description": f"{part.name or 'source'}: {part.file_count:,} files of the folder {part.path}{known}",
        "includes": f"{glob.escape(name)}/**",
        "encodingFormat": _IMAGE_TYPES[first] if first else _BYTES,
    }


def _protocol(preprocessing: Preprocessing | None) -> Iterator[str]:
    """What was done with the data on their way to the model, a text for each step."""
    if preprocessing is None:
        return
    said = preprocessing.description
    if said is not None:
        yield (said if isinstance(said, str) else json.dumps(said, ensure_ascii=False))[:MAXIMAL_TEXT]
    for layer in preprocessing.layers:
        config = json.dumps(layer.config, ensure_ascii=False)
        yield f"{layer.kind} layer {layer.path} ({layer.class_name}): {config}"[:MAXIMAL_TEXT]
    for split, told in preprocessing.data_sets.items():
        yield f"{split}: {json.dumps(told, ensure_ascii=False)}"[:MAXIMAL_TEXT]

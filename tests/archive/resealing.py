"""Changing an archive behind its own back: what hashes alone would hide."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from archiver.archive.crate_agreement import MAXIMAL_CRATE_FILES
from archiver.archive.run import Run
from archiver.sealing import changing
from archiver.storage.digests import ALGORITHMS, bytes_digests
from archiver.storage.hashing import hash_files, regular_files
from archiver.storage.iris import iri_of
from archiver.storage.manifests import MANIFEST_NAMES, format_manifest

Edit = Callable[[Any], None]


def edit_json(path: Path, edit: Edit) -> None:
    """Change a document in place."""
    document = json.loads(path.read_bytes())
    edit(document)
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")


def edit_and_seal(run: Run, path: str, edit: Edit) -> None:
    """Change a document, and seal the archive as archiver does: everything that is derived is written anew."""
    with changing(run):
        edit_json(run.path / path, edit)


def rewrite_manifests(folder: Path) -> None:
    """Write the manifests of what is there and nothing else: journal, README and metadata stay as they are."""
    sizes = {path: size for path, size in regular_files(folder).items() if path not in MANIFEST_NAMES.values()}
    digests = hash_files(folder, sizes, ALGORITHMS)
    for algorithm, name in MANIFEST_NAMES.items():
        data = format_manifest({path: each[algorithm] for path, each in digests.items()})
        (folder / name).write_bytes(data)
        digests[name] = bytes_digests(data, ALGORITHMS)


def edit_journal(folder: Path, edit: Callable[[list[Any]], None]) -> None:
    """Change the list of events."""
    path = folder / "journal.jsonl"
    events = [json.loads(line) for line in path.read_bytes().splitlines()]
    edit(events)
    path.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")


def seal_as_it_is(folder: Path) -> None:
    """What an attacker can do who knows the format: crate, metadata and manifests that agree with what lies there now.

    Journal and README stay as they are; links and the like stay out of the manifests, as md5sum would leave them.
    """
    refresh_crate(folder)
    refresh_metadata(folder)
    rewrite_manifests(folder)


def refresh_crate(folder: Path) -> None:
    """Let the crate describe the files that are there, with their sizes and SHA-256; one that is broken stays so."""
    path = folder / "ro-crate-metadata.json"
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        document = json.loads(path.read_bytes())
        sizes = {name: size for name, size in regular_files(folder).items() if name != path.name}
        sizes = dict(sorted(sizes.items())[:MAXIMAL_CRATE_FILES])
        digests = hash_files(folder, sizes, ["sha256"])
        others = [entity for entity in document["@graph"] if "File" not in (entity["@type"], *entity["@type"])]
        document["@graph"] = others + [
            {"@id": iri_of(name), "@type": "File", "contentSize": str(size), "sha256": digests[name]["sha256"]}
            for name, size in sizes.items()
        ]
        path.write_text(json.dumps(document), encoding="utf-8")


def refresh_metadata(folder: Path) -> None:
    """Let the metadata list the files that are there, with their sizes and MD5."""
    (path,) = (folder / "results").glob("*_metadata.json")
    document = json.loads(path.read_bytes())
    own = {path.relative_to(folder).as_posix(), *MANIFEST_NAMES.values()}
    sizes = {name: size for name, size in regular_files(folder).items() if name not in own}
    digests = hash_files(folder, sizes, ["md5"])
    document["files"] = {
        name: {"size_bytes": sizes[name], "md5": digests[name]["md5"], "description": "hostile"}
        for name in sorted(sizes)
    }
    document["total_bytes"] = sum(sizes.values())
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")

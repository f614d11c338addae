"""Verifying, first step: what lies in the folder, without following anything."""

from __future__ import annotations

from collections.abc import Iterator

from archiver import layout
from archiver.archive.inspection import MAXIMAL_SIGNATURE_BYTES, Inspection
from archiver.archive.left_behind import left_behind
from archiver.archive.transfer import explain_link, explain_refusal
from archiver.errors import ArchiverError
from archiver.storage.beneath import Entry, opened_folder, walk


def list_files(inspection: Inspection) -> None:
    """Gather the regular files; report what is none, and folders without files."""
    folders: set[str] = set()
    try:
        with opened_folder(inspection.run.path) as root:
            for entry in walk(root, lambda path, error: _unlistable(inspection, path, error)):
                _list_one(inspection, entry, folders)
    except ArchiverError as error:
        inspection.find("unreadable", "", f"its files cannot be listed: {error}")
    _list_unfetched(inspection)
    if layout.MANIFEST_BLAKE3.pattern in inspection.sizes:
        used = {parent for path in inspection.sizes for parent in _parents(path)} | inspection.unlistable
        for folder in sorted(folders - used):
            _unlisted_folder(inspection, folder)


def _list_unfetched(inspection: Inspection) -> None:
    unfetched = inspection.unfetched
    inspection.sizes |= unfetched.sizes
    inspection.newest_ns = max(inspection.newest_ns, unfetched.newest_ns)
    for name, reason in unfetched.refused:
        inspection.find("unsafe_path", name, reason)


def _unlisted_folder(inspection: Inspection, folder: str) -> None:
    left = left_behind(folder)
    if left is None:
        inspection.find("unlisted", folder, "is a folder without files, which no manifest knows")
    elif ("unlisted", left.path) not in inspection.reported:
        inspection.find("unlisted", left.path, f"is not known to any manifest: {left.who}", "left_behind")


def _unlistable(inspection: Inspection, folder: str, error: OSError) -> None:
    inspection.unlistable.add(folder)
    explanation = explain_refusal(inspection, folder, error)
    message = explanation.message if explanation else f"cannot be listed: {error.strerror or error}"
    inspection.find("unreadable", folder, message, explanation.cause if explanation else None)


def _list_one(inspection: Inspection, entry: Entry, folders: set[str]) -> None:
    if entry.kind == "folder":
        folders.add(entry.path)
    elif entry.kind == "file" and entry.path == layout.SIGNATURE.pattern:
        _list_signature(inspection, entry.size_bytes)
    elif entry.kind == "file":
        inspection.sizes[entry.path] = entry.size_bytes
        inspection.newest_ns = max(inspection.newest_ns, entry.modified_ns)
        if entry.link_count > 1:
            inspection.inform("hard_link", entry.path, f"has {entry.link_count} hard links")
    else:
        explanation = explain_link(inspection, entry.path) if entry.kind == "symlink" else None
        message = explanation.message if explanation else f"is a {entry.kind}"
        cause = explanation.cause if explanation else None
        inspection.find("not_a_regular_file", entry.path, f"{message}; it was not followed", cause)


def _list_signature(inspection: Inspection, size: int) -> None:
    """No manifest lists it, and so it is not among the files that are compared with them."""
    if size > MAXIMAL_SIGNATURE_BYTES:
        message = f"received {size} bytes; expected a signature of at most {MAXIMAL_SIGNATURE_BYTES}"
        inspection.find("signature", layout.SIGNATURE.pattern, message)
    else:
        inspection.signature_bytes = size


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        yield "/".join(parts[:count])

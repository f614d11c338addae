"""What lies below a URL, from one listing; names that could lead out of a folder are never used as paths."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from archiver.errors import UnsafeFileError, UnsafePathError
from archiver.remote.patience import PATIENT, Patience
from archiver.remote.urls import Remote
from archiver.storage.bagit import DECLARATION_NAME
from archiver.storage.beneath import MAXIMAL_DEPTH, MAXIMAL_ENTRIES, relative_parts
from archiver.storage.journal import JOURNAL_NAME
from archiver.storage.manifests import MANIFEST_NAMES

_MD5 = re.compile(r"[0-9a-f]{32}")
_PARTS = re.compile(r"[0-9a-f]{32}-[0-9]+")
_STAMPS = ("ETag", "etag", "generation", "blob_id")
_TIMES = ("LastModified", "last_modified", "mtime", "modified", "updated", "created")


@dataclass(frozen=True)
class RemoteEntry:
    """A file in a store, as its listing tells."""

    size_bytes: int
    stamp: str
    """Another one when it has been written again."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Those that the store tells: `md5`, `sha256`, `git` (of git's blob), `parts` (S3's of several parts)."""
    modified_ns: int = 0


@dataclass(frozen=True)
class Listing:
    """All files below a URL."""

    files: dict[str, RemoteEntry]
    """By POSIX path below the URL."""
    refused: tuple[tuple[str, str], ...] = ()
    """Names that are not used, and why."""
    is_file: bool = False
    """The URL itself is a file, which stands in `files` as the empty path."""

    def require_safe(self, url: str) -> None:
        """Refuse to go on where names are refused.

        Raises:
            UnsafePathError: there are some.
        """
        if self.refused:
            name, reason = self.refused[0]
            more = f" (and {len(self.refused) - 1} more)" if len(self.refused) > 1 else ""
            raise UnsafePathError(f"{url}: the name {name[:200]!r} is refused: {reason}{more}")


def list_remote(remote: Remote, patience: Patience = PATIENT) -> Listing:
    """All files below a URL; none where there is nothing.

    Raises:
        RemoteError: the store cannot be reached, or refused.
        UnsafeFileError: more than `MAXIMAL_ENTRIES` files.
    """
    remote.filesystem.invalidate_cache()
    try:
        found = patience.persist(f"list {remote.url}", lambda: remote.filesystem.find(remote.root, detail=True))
    except FileNotFoundError:
        return Listing({})
    if len(found) > MAXIMAL_ENTRIES:
        raise UnsafeFileError(
            f"{remote.url}: too many files. Received {len(found)}. Expected at most {MAXIMAL_ENTRIES}."
        )
    return _sorted_out(remote.root, found)


def _sorted_out(root: str, found: Mapping[str, Any]) -> Listing:
    files: dict[str, RemoteEntry] = {}
    refused: list[tuple[str, str]] = []
    if list(found) == [root]:
        return Listing({"": entry_of(found[root])}, is_file=True)
    for name, info in found.items():
        if info.get("type") != "file" or _is_marker(root, name, info):
            continue
        reason = _why_refused(root, name, info)
        if reason is None:
            files[name[len(root) + 1 :]] = entry_of(info)
        else:
            refused.append((name[len(root) + 1 :] if name.startswith(f"{root}/") else name, reason))
    folders = {path.rpartition("/")[0] for path in files}
    folders |= {parent for folder in folders for parent in _parents(folder)}
    for path in sorted(folders & files.keys()):
        refused.append((path, "it is a file and a folder"))
        del files[path]
    return Listing(dict(sorted(files.items())), tuple(refused))


def _is_marker(root: str, name: str, info: Mapping[str, Any]) -> bool:
    """Whether it is an empty object that stands for a folder, as the consoles of stores make them."""
    return not info.get("size") and (name.endswith("/") or name == root)


def _parents(folder: str) -> list[str]:
    parts = folder.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _why_refused(root: str, name: str, info: Mapping[str, Any]) -> str | None:
    if not name.startswith(f"{root}/"):
        return "it lies outside of what was asked for"
    if info.get("islink"):
        return "it is a link, which is not followed"
    path = name[len(root) + 1 :]
    try:
        depth = len(relative_parts(path))
    except UnsafePathError as error:
        return str(error)
    return f"its folders are nested too deep (at most {MAXIMAL_DEPTH})" if depth > MAXIMAL_DEPTH else None


def entry_of(info: Mapping[str, Any]) -> RemoteEntry:
    """What fsspec's `info` of a file tells."""
    modified_ns = _modified_ns(info)
    stamp = next((str(info[key]).strip('"') for key in _STAMPS if info.get(key)), str(modified_ns or ""))
    return RemoteEntry(int(info.get("size") or 0), stamp, _digests(info), modified_ns)


def _digests(info: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    etag = str(info.get("ETag") or "").strip('"')
    if _MD5.fullmatch(etag):
        found["md5"] = etag
    elif _PARTS.fullmatch(etag):
        found["parts"] = etag
    raw = info.get("md5Hash") or getattr(info.get("content_settings"), "content_md5", None) or info.get("content_md5")
    if isinstance(raw, str | bytes | bytearray) and raw:
        found["md5"] = base64.b64decode(raw).hex() if isinstance(raw, str) else bytes(raw).hex()
    lfs = info.get("lfs")
    sha256 = lfs.get("sha256") if isinstance(lfs, Mapping) else getattr(lfs, "sha256", None)
    if isinstance(sha256, str):
        found["sha256"] = sha256
    elif lfs is None and isinstance(info.get("blob_id"), str):
        found["git"] = info["blob_id"]
    return found


def _modified_ns(info: Mapping[str, Any]) -> int:
    value = next((info[key] for key in _TIMES if info.get(key) is not None), None)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return int((moment.timestamp() if isinstance(moment, datetime) else float(moment or 0)) * 1e9)
    except (TypeError, ValueError, OverflowError):
        return 0


def archive_folders(there: Listing) -> list[str]:
    """The folders below a URL that look like archives, or like bags, which may hold one; sorted. What lies in one of
    them is part of it."""
    marks = {JOURNAL_NAME, DECLARATION_NAME, *MANIFEST_NAMES.values()}
    holding = {folder for folder, _, name in (path.rpartition("/") for path in there.files) if name in marks}
    return sorted(folder for folder in holding if not holding.intersection(_above(folder)))


def _above(folder: str) -> list[str]:
    return [*_parents(folder), *([""] if folder else [])]

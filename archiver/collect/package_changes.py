"""Installed packages that somebody edited: files that are no longer those of which the installer noted the hash.

Files of another size than RECORD says, and files younger than RECORD, which installers write last, are hashed; the
rest is taken for unchanged. Sixty thousand files take a third of a second. An edit that keeps the size and sets the
time back is not found.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution

from archiver.collect.command import recordable
from archiver.collect.packages import installed_distributions, name_and_version, normalised_name
from archiver.records.environment import ChangedFilesPart

SHOWN_PATHS = 20
YOUNGER_NS = 2_000_000_000
"""Of a file against RECORD: file systems and installers round times."""

_NOT_CHECKED = re.compile(r"\.pyc\Z|\.dist-info/(?:INSTALLER|REQUESTED|RECORD|direct_url\.json)\Z")


@dataclass(frozen=True)
class _Listed:
    """One file of a RECORD (https://packaging.python.org/specifications/recording-installed-packages)."""

    path: str
    algorithm: str
    digest: str
    size_bytes: int | None


def find_changed_files() -> dict[str, ChangedFilesPart]:
    """By normalised name, the packages of which files were changed or removed since they were installed; sorted."""
    found: dict[str, ChangedFilesPart | None] = {}
    for distribution in installed_distributions([]):
        with contextlib.suppress(Exception):  # those that cannot be read are in the list of packages, with the reason
            key = normalised_name(name_and_version(distribution)[0])
            if key not in found:  # the first on the path counts
                found[key] = changes_of(distribution)
    return {name: part for name, part in sorted(found.items()) if part is not None}


def changes_of(distribution: Distribution) -> ChangedFilesPart | None:
    """What was changed in a distribution; None: nothing, or it has no RECORD."""
    text, folder = distribution.read_text("RECORD"), getattr(distribution, "_path", None)
    if text is None or folder is None:
        return None
    try:
        latest_ns = os.stat(f"{folder}/RECORD").st_mtime_ns + YOUNGER_NS
    except OSError:
        return None
    base = str(distribution.locate_file(""))
    changed, missing = [], []
    for listed in _listed(text):
        try:
            if _is_changed(f"{base}/{listed.path}", listed, latest_ns):
                changed.append(listed.path)
        except FileNotFoundError:
            missing.append(listed.path)
        except OSError:
            changed.append(listed.path)  # what cannot be read is not what was installed
    if not changed and not missing:
        return None
    return ChangedFilesPart(
        changed_count=len(changed),
        changed=tuple(map(recordable, sorted(changed)[:SHOWN_PATHS])),
        missing_count=len(missing),
        missing=tuple(map(recordable, sorted(missing)[:SHOWN_PATHS])),
    )


def _listed(record: str) -> Iterator[_Listed]:
    for row in csv.reader(record.splitlines()):
        if len(row) < 2 or not row[1] or row[0].startswith(("../", "/")) or _NOT_CHECKED.search(row[0]):  # noqa: PLR2004
            continue
        algorithm, _, digest = row[1].partition("=")
        size = row[2] if len(row) > 2 else ""  # noqa: PLR2004
        yield _Listed(row[0], algorithm, digest, int(size) if size.isdecimal() else None)


def _is_changed(path: str, listed: _Listed, latest_ns: int) -> bool:
    status = os.stat(path)
    if listed.size_bytes in (None, status.st_size) and status.st_mtime_ns <= latest_ns:
        return False
    if listed.algorithm not in hashlib.algorithms_available:
        return listed.size_bytes not in (None, status.st_size)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, listed.algorithm).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != listed.digest.rstrip("=")

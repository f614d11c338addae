"""What a transfer did to an archive: the innocent explanation of a fault, told beside it.

Whatever is explained stays a finding. An explanation rests on a proof (what is turned back has the sealed digest), or
on what the file is now; reading for it is bounded, and done only where there is a fault.
"""

from __future__ import annotations

import os
import pwd
import re
import stat
from dataclasses import dataclass

from archiver.archive.conversions import BYTE_ORDER_MARK, CRLF, MAXIMAL_BYTES, Conversion, undo
from archiver.archive.findings import Cause
from archiver.archive.inspection import Inspection
from archiver.archive.kinds import MAXIMAL_ZEROS_BYTES, lost_end
from archiver.errors import ArchiverError
from archiver.storage.digests import bytes_digests
from archiver.storage.manifests import parse_manifest

MAXIMAL_POINTER_BYTES = 1024

_LFS = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\n")
_ANNEX = re.compile(rb"/annex/objects/([A-Za-z0-9]+)-[^\n/]*\n?")


@dataclass(frozen=True)
class Explanation:
    """What happened, and what to do."""

    cause: Cause
    message: str


def explain_change(inspection: Inspection, path: str, expected: dict[str, str]) -> Explanation | None:
    """Why a file is not what was sealed; its bytes of before are kept in the inspection where they can be had.

    Args:
        inspection: of the archive.
        path: of the file.
        expected: the sealed digests by algorithm.
    """
    size = inspection.sizes[path]
    try:
        if size <= MAXIMAL_BYTES and inspection.may_read(size):
            data = inspection.read_now(path, MAXIMAL_BYTES)
            explanation = _pointer(data, inspection.digest_of(path, "sha256")) or _conversion(
                inspection, path, data, expected
            )
            if explanation is not None:
                return explanation
        if not inspection.may_read(min(size, MAXIMAL_ZEROS_BYTES)):
            return None
        with inspection.open(path) as file:
            found = lost_end(file, path, inspection.recorded_bytes(path))
    except (OSError, ArchiverError):
        return None
    return Explanation(*found) if found else None


def _conversion(inspection: Inspection, path: str, data: bytes, expected: dict[str, str]) -> Explanation | None:
    conversion = undo(data, lambda original: bytes_digests(original, expected) == expected)
    if conversion is None:
        return None
    inspection.undone[path] = conversion.original
    return Explanation(conversion.cause, f"{conversion.what}; turned back, it is what was sealed")


def undone_manifest(data: bytes, algorithm: str) -> Conversion | None:
    """How a manifest was converted, where each of its lines is whole once that is undone."""
    if CRLF not in data and not data.startswith(BYTE_ORDER_MARK):
        return None

    def is_manifest(original: bytes) -> bool:
        listed, faults = parse_manifest(original, algorithm)
        return bool(listed) and not faults and b"\r" not in original

    return undo(data, is_manifest)


def _pointer(data: bytes, sha256: str | None) -> Explanation | None:
    if len(data) > MAXIMAL_POINTER_BYTES:
        return None
    if found := _LFS.match(data):
        is_ours = found[1].decode() == sha256
        whose = "of this file; `git lfs pull` gets it" if is_ours else "of other content than was sealed"
        return Explanation("pointer", f"is a Git LFS pointer {whose}")
    if _ANNEX.fullmatch(data):
        return Explanation("pointer", "is a git-annex pointer; `git annex get` gets the file")
    return None


def explain_link(inspection: Inspection, path: str) -> Explanation | None:
    """Whether a link is one of git-annex or DVC, which keep the file elsewhere; nothing is followed."""
    try:
        target = os.readlink(inspection.run.path / path)
    except OSError:
        return None
    if ".git/annex/objects/" in target:
        return Explanation(
            "pointer", "is a link of git-annex; `git annex get` and `git annex unlock` put the file here"
        )
    if "/files/md5/" in target or ".dvc/cache/" in target:
        return Explanation(
            "pointer", "is a link into the cache of DVC; `dvc checkout` with cache.type=copy puts the file here"
        )
    return None


def explain_absence(inspection: Inspection, path: str) -> Explanation | None:
    """Whether DVC put a pointer beside where the file was."""
    if f"{path}.dvc" not in inspection.sizes:
        return None
    return Explanation("pointer", f"is not there, and a pointer of DVC is ({path}.dvc); `dvc pull` gets the file")


def explain_refusal(inspection: Inspection, path: str, error: Exception) -> Explanation | None:
    """Why this user may not read a file or a folder; its content is unknown then, not changed."""
    if not isinstance(error, PermissionError):
        return None
    return Explanation(
        "no_permission",
        f"this user has no permission to read it{_owner(inspection, path)}; nothing is known of its content",
    )


def _owner(inspection: Inspection, path: str) -> str:
    try:
        status = os.stat(inspection.run.path / path, follow_symlinks=False)
    except OSError:
        return ""
    mode = stat.S_IMODE(status.st_mode)
    try:
        owner = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        owner = f"user {status.st_uid}"
    remedy = f"chmod u+r{'x' if stat.S_ISDIR(status.st_mode) else ''}"
    return f" (mode {mode:04o}, owner {owner}: {remedy}, or ask the owner)"


def find_unreadable(inspection: Inspection, path: str, error: Exception) -> None:
    """Report once that a file cannot be read."""
    if ("unreadable", path) in inspection.reported:
        return
    explanation = explain_refusal(inspection, path, error)
    message = explanation.message if explanation else str(error)
    inspection.find("unreadable", path, message, explanation.cause if explanation else None)

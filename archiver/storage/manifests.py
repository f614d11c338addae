"""Manifests: one line per file, in the format that `md5sum -c`, `sha256sum -c` and `b3sum -c` read.

Grammar (all of it): lowercase hex digest, two spaces, POSIX path relative to the archive, LF. Lines are sorted by the
bytes of the path. Nothing else: no comments, no escapes, no blank lines.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from archiver.errors import UnsafePathError
from archiver.storage.beneath import relative_parts
from archiver.storage.reading import whole_lines

DIGEST_LENGTHS = {"md5": 32, "sha256": 64, "blake3": 64}
MAXIMAL_MANIFEST_BYTES = 64 << 20
MAXIMAL_FAULTS = 1000
"""Of one manifest: after so many, the rest is not read."""

MANIFEST_NAMES = {algorithm: f"manifest-{algorithm}.txt" for algorithm in DIGEST_LENGTHS}
"""The manifests in the order in which they are written; each covers those before it."""

PREVIOUS_SEAL = "manifest-blake3.previous"


@dataclass(frozen=True)
class GrammarFault:
    """A line of a manifest that breaks the grammar."""

    line: int
    """Counted from 1; 0 for the file as a whole."""
    reason: str


def check_names(paths: Iterable[str]) -> None:
    """See to it that each path can stand in a manifest, and that every system can tell it from the others.

    Raises:
        UnsafePathError: one cannot; the message names it.
    """
    folded: dict[str, str] = {}
    for path in sorted(paths):
        relative_parts(path)
        other = folded.setdefault(_folded(path), path)
        if other != path:
            raise UnsafePathError(f"{path!r} and {other!r} differ in case or Unicode form only; rename one of them")


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def format_manifest(digests: Mapping[str, str]) -> bytes:
    """The manifest of `{path: lowercase hex digest}`."""
    lines = sorted((path.encode(), digest.encode()) for path, digest in digests.items())
    return b"".join(digest + b"  " + path + b"\n" for path, digest in lines)


def parse_manifest(data: bytes, algorithm: str) -> tuple[dict[str, str], list[GrammarFault]]:
    """`{path: digest}` of the lines that follow the grammar, and what is wrong with the others."""
    digests: dict[str, str] = {}
    faults: list[GrammarFault] = []
    if data and not data.endswith(b"\n"):
        faults.append(GrammarFault(data.count(b"\n") + 1, "the last line does not end with a line feed"))
    previous = b""
    folded: dict[str, str] = {}
    pattern = re.compile(rb"([0-9a-f]{%d})  (.+)" % DIGEST_LENGTHS[algorithm], re.DOTALL)
    for number, line in enumerate(whole_lines(data), start=1):
        if len(faults) >= MAXIMAL_FAULTS:
            faults.append(GrammarFault(number, "the rest is not read: too many lines are broken"))
            break
        match = pattern.fullmatch(line)
        reason = _path_fault(match[2], previous, folded) if match else "is not '<digest>  <path>'"
        if reason is not None:
            faults.append(GrammarFault(number, reason))
        if match is None or reason is not None:
            continue
        previous = match[2]
        digests[previous.decode()] = match[1].decode()
    return digests, faults


def _path_fault(raw: bytes, previous: bytes, folded: dict[str, str]) -> str | None:
    try:
        path = raw.decode()
    except UnicodeDecodeError:
        return f"has a path that is not UTF-8: {raw[:1000]!r}"
    key = _folded(path)
    if key in folded:
        return f"names {path!r}, which collides with {folded[key]!r}"
    folded[key] = path
    return f"names {path!r} out of order" if raw <= previous else None

"""The tag files of a bag: BagIt 1.0 (RFC 8493), as far as text goes.

A bag is a folder with `bagit.txt`, a payload below `data/`, and manifests of both. Line feeds, carriage returns and
percent signs in paths are percent-encoded (section 2.1.3), and nothing else is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from archiver.storage.manifests import GrammarFault

DECLARATION_NAME = "bagit.txt"
INFO_NAME = "bag-info.txt"
FETCH_NAME = "fetch.txt"
PAYLOAD_PREFIX = "data/"
DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"

DIGEST_LENGTHS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128, "blake3": 64}
"""Hexadecimal digits of the digests that are read here; a bag may have others."""

_DECLARED = re.compile(rb"BagIt-Version: (\d{1,3})\.(\d{1,3})\r?\nTag-File-Character-Encoding: UTF-8(?:\r?\n)?")
_NEWEST = (1, 0)
_MANIFEST_NAME = re.compile(r"(tag)?manifest-([a-z0-9]+)\.txt")
_LINE = re.compile(r"([0-9A-Fa-f]+)[ \t]+\*?(.+)", re.DOTALL)
_ENCODED = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_DECODED = {code: character for character, code in _ENCODED.items()}


@dataclass(frozen=True)
class BagManifest:
    """One manifest of a bag, as it was read."""

    digests: dict[str, str]
    """Lowercase hex by decoded path."""
    written: dict[str, str]
    """By decoded path: the path as it stands in the file, where that is another one."""
    faults: tuple[GrammarFault, ...]


def manifest_algorithm(name: str, *, of_tags: bool) -> str | None:
    """The algorithm of a payload manifest (or tag manifest) of that file name; None: it is none."""
    match = _MANIFEST_NAME.fullmatch(name)
    return match[2] if match and bool(match[1]) == of_tags else None


def encode_path(path: str) -> str:
    """A path as it stands in a manifest."""
    return re.sub("[%\r\n]", lambda found: _ENCODED[found[0]], path)


def decode_path(written: str) -> str:
    """The path that stands in a manifest."""
    return re.sub("%(?:25|0[AaDd])", lambda found: _DECODED[found[0].upper()], written)


def format_bag_manifest(digests: Mapping[str, str]) -> bytes:
    """The manifest of `{path: lowercase hex digest}`, sorted by the bytes of the paths."""
    lines = sorted((encode_path(path).encode(), digest.encode()) for path, digest in digests.items())
    return b"".join(digest + b"  " + path + b"\n" for path, digest in lines)


def parse_bag_manifest(data: bytes, algorithm: str) -> BagManifest:
    """What a manifest says, and what is wrong with it; `algorithm` is one of `DIGEST_LENGTHS`."""
    digests: dict[str, str] = {}
    written: dict[str, str] = {}
    faults: list[GrammarFault] = []
    for number, raw in enumerate(re.split(rb"\r\n|\r|\n", data), start=1):
        if not raw:
            continue
        try:
            match = _LINE.fullmatch(raw.decode())
        except UnicodeDecodeError:
            match = None
        if match is None or len(match[1]) != DIGEST_LENGTHS[algorithm]:
            faults.append(GrammarFault(number, f"is not '<{algorithm} in hexadecimal>  <path>'"))
            continue
        path = decode_path(match[2])
        if path in digests:
            faults.append(GrammarFault(number, f"names {path!r} again"))
            continue
        digests[path] = match[1].lower()
        if path != match[2]:
            written[path] = match[2]
    return BagManifest(digests, written, tuple(faults))


def declaration_fault(data: bytes) -> str | None:
    """What is wrong with `bagit.txt`; None: nothing."""
    match = _DECLARED.fullmatch(data)
    if match is None:
        return "is not 'BagIt-Version: 1.0' and 'Tag-File-Character-Encoding: UTF-8', each on its line"
    version = int(match[1]), int(match[2])
    if version > _NEWEST:
        return f"declares BagIt {version[0]}.{version[1]}; expected at most {_NEWEST[0]}.{_NEWEST[1]}"
    return None


def format_info(fields: Iterable[tuple[str, str]]) -> bytes:
    """`bag-info.txt` of labels and one-line texts."""
    return "".join(f"{label}: {' '.join(text.split())}\n" for label, text in fields).encode()


def parse_info(data: bytes) -> tuple[dict[str, list[str]], list[GrammarFault]]:
    """`{label in lower case: texts}` of `bag-info.txt`; a line that begins with a blank goes on from the one before."""
    fields: dict[str, list[str]] = {}
    faults: list[GrammarFault] = []
    last: list[str] | None = None
    for number, line in enumerate(re.split(r"\r\n|\r|\n", data.decode("utf-8", "replace")), start=1):
        label, colon, text = line.partition(":")
        if line[:1] in (" ", "\t") and last:
            last[-1] += f" {line.strip()}"
        elif colon and label.strip():
            last = fields.setdefault(label.strip().lower(), [])
            last.append(text.strip())
        elif line.strip():
            faults.append(GrammarFault(number, "is not '<label>: <text>'"))
    return fields, faults

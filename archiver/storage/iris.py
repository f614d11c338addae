"""Paths as identifiers of linked data, the way RO-Crate 1.1 wants them ("Encoding file paths").

What an IRI allows stays as it is, letters beyond ASCII too, as RO-Crate prefers; spaces, percent signs and whatever
else could end or change an identifier are percent-encoded.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote, unquote

from archiver.errors import UnsafePathError
from archiver.storage.beneath import relative_parts

# Of the characters that a path may have (RFC 3986), `:` can end a scheme, `@` begins keywords of JSON-LD, and some take
# what follows `;` for parameters.
_SAFE = "/!$&'()*+,="
_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")


def iri_of(path: str) -> str:
    """The relative IRI of a POSIX path; that of a folder ends with `/` as its path does."""
    if _PLAIN.fullmatch(path):
        return path
    # An IRI may be normalised on its way: a name that this would change is written in ASCII.
    is_normal = unicodedata.is_normalized("NFC", path)
    return "".join(each if is_normal and _may_stay(each) else quote(each, safe=_SAFE) for each in path)


def _may_stay(character: str) -> bool:
    return not character.isascii() and (character.isalnum() or unicodedata.category(character) in ("Mn", "Mc"))


def path_of(iri: str) -> str:
    """The other way round.

    Raises:
        UnsafePathError: it leads out of the folder, is absolute, or has a scheme, a query or a fragment.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|//", iri) or "?" in iri or "#" in iri:
        raise UnsafePathError(f"Received {iri[:200]!r}. Expected a relative IRI such as 'models/a%20b.keras'.")
    path = unquote(iri.removeprefix("./"), errors="surrogateescape")
    relative_parts(path.removesuffix("/"))
    return path

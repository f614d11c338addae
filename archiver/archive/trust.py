"""What of an archive runs code once somebody uses it: told, and no fault, since many a good model holds code.

Nothing here is asked of the records, which a stranger writes too: the files themselves are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from archiver import layout
from archiver.archive.inspection import Inspection
from archiver.errors import ArchiverError
from archiver.records.base import Record
from archiver.storage.beneath import unportable_part
from archiver.storage.digests import sha256_of
from archiver.storage.hdf5_texts import read_root_text
from archiver.storage.keras_config import find_code, parse_config, read_keras_config

MAXIMAL_PAGE_BYTES = 16 << 20
"""Of a page; whether a longer one holds a script is not looked at, which is told."""
MAXIMAL_TRACE_BYTES = 64 << 20
"""Of the beginning of a trace that is looked at."""
BLOCK_BYTES = 1 << 20

H5_CONFIG = "model_config"

OWN_SCRIPTS = frozenset(
    {
        "fcce946f173c06298972673281b248ee39b2262e87301497a74783eeb4fcb18a",
    }
)
"""SHA-256 of the scripts that reports of archiver have had, `templates/report.js` without the white space around it.
Old ones stay, since archives do."""

_JAVASCRIPT = rb"[\x00-\x20]*".join(re.escape(bytes([letter])) for letter in b"javascript:")
_ENTITY = rb"&#(?!(?:3[489]|42|6[02]|9[1-6]);)|&(?:colon|tab|newline)\b"
"""One that may hide a word: no quotation mark, and nothing that has a meaning in Markdown."""
_ACTIVE = re.compile(
    rb"<script|<i?frame|<object|<embed|<base|<form|\bon[a-z]+\s*=|%b|%b"
    rb'|http-equiv(?!="Content-Security-Policy")' % (_JAVASCRIPT, _ENTITY),  # our own pages have that one
    re.IGNORECASE,
)
"""What makes a page worth a closer look: taking it apart takes time."""
_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_FORMULA = re.compile(rb"(?:^|[,\r\n])[\"']?([=@\t]|[+-](?![\d.infa]))")


def tell(inspection: Inspection, records: dict[str, Record]) -> None:
    """Say which files run something when they are loaded, opened in a browser or in a spreadsheet."""
    _tell_of_models(inspection, records.get("model_config"))
    for path in sorted(inspection.sizes):
        if path.startswith("traces/"):
            _tell_of(inspection, path, formula_in)
        elif path in ("README.md", "README.html") or (path.startswith("figures/") and path.endswith(".svg")):
            _tell_of(inspection, path, script_in)
        unportable = unportable_part(path)
        if unportable is not None:
            inspection.inform("unportable_name", path, unportable)


def _tell_of_models(inspection: Inspection, model: Any) -> None:
    known = list(model.needs_trust) if model is not None else []
    if known:
        path = layout.MODEL_CONFIG.path(inspection.run.name)
        inspection.inform("needs_trust", path, f"loading this model runs code: {', '.join(known)}")
    for file, read in ((layout.KERAS_MODEL, _keras_config), (layout.H5_MODEL, _h5_config)):
        path = file.path(inspection.run.name)
        if path in inspection.sizes and path not in inspection.damaged:
            _tell_of(inspection, path, lambda opened, read=read: _code(read(opened), known))  # type: ignore[misc]


def _tell_of(inspection: Inspection, path: str, look: Callable[[BinaryIO], str | None]) -> None:
    try:
        with inspection.open(path) as file:
            told = look(file)
    except (ArchiverError, OSError) as error:
        told = f"what it runs cannot be told: {error}"
    if told is not None:
        inspection.inform("needs_trust", path, told)


def _keras_config(file: BinaryIO) -> Any:
    return read_keras_config(file, where="it")


def _h5_config(file: BinaryIO) -> Any:
    text = read_root_text(file, H5_CONFIG, where="it")
    return None if text is None else parse_config(text, f"its attribute {H5_CONFIG}")


def _code(config: Any, known: list[str]) -> str | None:
    found = [reason for reason in find_code(config) if reason not in known]
    return f"loading this model runs code: {', '.join(found)}" if found else None


def formula_in(file: BinaryIO) -> str | None:
    """What a spreadsheet would run of a trace; None where it would run nothing."""
    before = b"\n"
    for block in _blocks(file, MAXIMAL_TRACE_BYTES):
        if _FORMULA.search(before + block):
            return "a cell begins like a formula, which a spreadsheet would work out"
        before = block[-1:]
    return None


def _blocks(file: BinaryIO, limit: int) -> Iterator[bytes]:
    for _ in range(0, limit, BLOCK_BYTES):
        block = file.read(BLOCK_BYTES)
        if not block:
            return
        yield block


def script_in(file: BinaryIO) -> str | None:
    """What a browser would run of a page; None where it would run nothing."""
    data = b"".join(_blocks(file, MAXIMAL_PAGE_BYTES))
    if file.read(1):
        return f"whether it holds a script was not looked at: it has more than {MAXIMAL_PAGE_BYTES} bytes"
    if not _ACTIVE.search(_SCRIPT.sub(_without_own, data)):
        return None
    from archiver.archive.page_elements import find_active  # which few pages need

    found = find_active(data.decode("utf-8", "replace"), _is_own)
    return f"a browser runs what it holds: {found}" if found else None


def _without_own(script: re.Match[bytes]) -> bytes:
    return b" " if _is_own(script[1]) else script[0]


def _is_own(script: bytes) -> bool:
    return sha256_of(script.strip()) in OWN_SCRIPTS

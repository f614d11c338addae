"""What of an archive runs code once somebody uses it: told, and no fault, since many a good model holds code.

Nothing here is asked of the records, which a stranger writes too: the files themselves are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
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

_ACTIVE = re.compile(
    rb"<script|<i?frame|<object|<embed|<base|<form|javascript:|http-equiv|\bon[a-z]+\s*=", re.IGNORECASE
)
"""What makes a page worth a closer look: taking it apart takes time."""
_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_ACTIVE_TAGS = frozenset({"iframe", "frame", "object", "embed", "base", "form"})
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
    finder = _Finder()
    finder.feed(data.decode("utf-8", "replace"))
    finder.close()
    return f"a browser runs what it holds: {finder.found}" if finder.found else None


def _without_own(script: re.Match[bytes]) -> bytes:
    return b" " if sha256_of(script[1].strip()) in OWN_SCRIPTS else script[0]


class _Finder(HTMLParser):
    """Finds the first thing that a browser runs, or that leads it elsewhere by itself; not the script of our pages."""

    found: str | None = None
    _script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One element."""
        self._script = tag == "script"
        if self._script and attrs:
            self.found = self.found or "<script> with a source"
        self.found = self.found or _active(tag, attrs)

    def handle_data(self, data: str) -> None:
        """What stands in an element."""
        if self._script and sha256_of(data.strip().encode()) not in OWN_SCRIPTS:
            self.found = self.found or "<script> that is not the one of our reports"

    def handle_endtag(self, tag: str) -> None:
        """The end of an element."""
        self._script = self._script and tag != "script"


def _active(tag: str, attributes: list[tuple[str, str | None]]) -> str | None:
    if tag in _ACTIVE_TAGS:
        return f"<{tag}>"
    for name, value in attributes:
        if name.startswith("on"):
            return f"<{tag} {name[:40]}>"
        if "javascript:" in re.sub(r"[\s\x00-\x1f]", "", value or "").lower():
            return f"<{tag} {name[:40]}='javascript:...'>"
        if tag == "meta" and name == "http-equiv" and (value or "").strip().lower() == "refresh":
            return "<meta http-equiv='refresh'>"
    return None

"""Undoing what a transfer does to text, and proving it: what is turned back has the digest that was sealed.

Git with `core.autocrlf`, FTP in text mode, editors and mail programs turn line feeds into CRLF or back, add a byte
order mark, or take away the last line feed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from archiver.archive.findings import Cause

MAXIMAL_BYTES = 8 << 20
"""A larger file is not tried: nothing that a version control takes for text is so large."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
CRLF, LF = b"\r\n", b"\n"


@dataclass(frozen=True)
class Conversion:
    """What was done to a file, and the bytes it had before."""

    cause: Cause
    what: str
    original: bytes


def candidates(data: bytes) -> Iterator[Conversion]:
    """What `data` may have been made from, likely ones first."""
    yield from _without_mark(data, "")
    if data.startswith(BYTE_ORDER_MARK):
        plain, mark = data[len(BYTE_ORDER_MARK) :], "a byte order mark was put before it"
        yield Conversion("byte_order_mark", mark, plain)
        yield from _without_mark(plain, f", and {mark}")


def _without_mark(plain: bytes, and_mark: str) -> Iterator[Conversion]:
    unix = plain.replace(CRLF, LF)
    if unix != plain:
        what = f"its line feeds were turned into CRLF (git autocrlf, FTP in text mode){and_mark}"
        yield Conversion("crlf", what, unix)
        yield from _last_line(unix, "crlf", f"{what}, and its last line feed is not as it was")
    else:
        what = f"its CRLF were turned into line feeds (git autocrlf, FTP in text mode){and_mark}"
        yield Conversion("line_feeds", what, plain.replace(LF, CRLF))
    yield from _last_line(plain, "line_feeds", f"its last line feed is not as it was{and_mark}")


def _last_line(data: bytes, cause: Cause, what: str) -> Iterator[Conversion]:
    yield Conversion(cause, what, data + LF)
    if data.endswith(LF):
        yield Conversion(cause, what, data[:-1])


def undo(data: bytes, is_original: Callable[[bytes], bool]) -> Conversion | None:
    """The conversion whose undoing gives what `is_original` recognises; None where there is none."""
    if len(data) > MAXIMAL_BYTES:
        return None
    return next((each for each in candidates(data) if is_original(each.original)), None)

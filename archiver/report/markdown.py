"""Text from outside as Markdown: everything is escaped unless a template says that it is safe."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

MAXIMAL_TEXT_LENGTH = 500

# What Markdown would act on: syntax anywhere, `_` at the edge of a word, schemes and `www.` that become links, and what
# begins a heading, a list or a line at the start of a text. Everything else stays readable in the source.
_SYNTAX = re.compile(
    r"[\\`*\[\]<>|~&$@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=/)|(?<=[wW]{3})\."
    r"|^[#+=-](?=[\s#=-]|$)|(?<=^\d)[.)](?=\s|$)|(?<=^\d\d)[.)](?=\s|$)"
)
_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"
_INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"


class Safe(str):
    """Markdown made by archiver itself."""

    __slots__ = ()


def printable(text: str) -> str:
    """`text` on one line, without control characters and without characters that turn or hide text."""
    if text.isascii() and text.isprintable():
        return text
    text = " ".join(text.split("\n"))
    return "".join(c if c.isprintable() and c not in _INVISIBLE else "\N{REPLACEMENT CHARACTER}" for c in text)


def markdown_text(value: object, limit: int = MAXIMAL_TEXT_LENGTH) -> Safe:
    """`value` as Markdown that shows its text and nothing else: syntax characters become entities."""
    if isinstance(value, Safe):
        return value
    text = printable(str(value))
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    escaped = _SYNTAX.sub(lambda match: f"&#{ord(match[0])};", text)
    return Safe(f"{_ISOLATE}{escaped}{_END_OF_ISOLATE}" if _runs_to_the_left(text) else escaped)


def _runs_to_the_left(text: str) -> bool:
    """Whether there is Arabic or Hebrew in it, or the like: numbers and signs of ours beside it would change places."""
    return not text.isascii() and any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)


def format_number(value: Any) -> Safe:
    """Four significant digits, or the number as it is where it is whole or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return markdown_text(value)
    if isinstance(value, int):
        return Safe(f"{value:,}")
    return Safe(f"{value:.4g}" if math.isfinite(value) else str(value))


def format_score(value: Any) -> Safe:
    """A number that stands below others like it: four decimals, so that points and digits stand in columns.

    Numbers below 0.01 and from 10 on have four significant digits instead.
    """
    is_middling = isinstance(value, float) and 0.01 <= abs(value) < 10  # noqa: PLR2004
    return Safe(f"{value:.4f}") if is_middling else format_number(value)


def format_bytes(count: float) -> Safe:
    """`1.5 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 - the definition of these units
            return Safe(f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}")
        count /= 1024
    return Safe(f"{count:.1f} TiB")


def format_seconds(seconds: float) -> Safe:
    """`4 h 5 min`, `2 min 3 s`, `1.2 s`."""
    if seconds < 60:  # noqa: PLR2004
        return Safe(f"{seconds:.1f} s")
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return Safe(f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s")


def in_words(value: Any) -> str:
    """Plain JSON as text: `name: digits; sizes: 8, 8`."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {in_words(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(in_words(item) for item in value)
    return str(value)


def short_name(qualified: str) -> str:
    """The last part of a qualified name."""
    return qualified.rsplit(".", 1)[-1]

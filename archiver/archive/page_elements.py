"""The elements of a page that a browser runs, or that lead it elsewhere by themselves."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

_ACTIVE_TAGS = frozenset({"iframe", "frame", "object", "embed", "base", "form"})


def find_active(page: str, is_own: Callable[[bytes], bool]) -> str | None:
    """The first such element.

    Args:
        page: in HTML, or Markdown with some in it.
        is_own: whether a script is one of our pages', which are let pass.
    """
    finder = _Finder(is_own)
    finder.feed(page)
    finder.close()
    return finder.found


class _Finder(HTMLParser):
    def __init__(self, is_own: Callable[[bytes], bool]) -> None:
        super().__init__()
        self.found: str | None = None
        self._is_own, self._script = is_own, False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One element."""
        self._script = tag == "script"
        if self._script and attrs:
            self.found = self.found or "<script> with a source"
        self.found = self.found or _active(tag, attrs)

    def handle_data(self, data: str) -> None:
        """What stands in an element."""
        if self._script and not self._is_own(data.encode()):
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

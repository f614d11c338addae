"""Checks every link inside of a built site, and that no page loads anything from elsewhere: `python links.py site`."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"src", "srcset", "data", "poster"}
_STYLE_ADDRESS = re.compile(r"url\(\s*['\"]?([^'\")]+)")


@dataclass
class Document:
    """What of a page matters here."""

    anchors: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    loaded: set[str] = field(default_factory=set)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found = Document()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name == "id" or (name == "name" and tag == "a"):
                self.found.anchors.add(value)
            elif name == "href" and tag == "link":
                self.found.loaded.add(value)
            elif name == "href":
                self.found.links.add(value)
            elif name in _LOADED:
                self.found.loaded.add(value)


def read(page: Path) -> Document:
    """The anchors, links and loaded files of a page."""
    reader = _Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader.found


def faults(site: Path) -> tuple[list[str], int]:
    """One line for each link that leads nowhere and each file from elsewhere; and how many links were followed."""
    documents = {page: read(page) for page in sorted(site.rglob("*.html"))}
    found, count = [], 0
    for page, document in documents.items():
        name = page.relative_to(site)
        for link in sorted(document.links | document.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in document.loaded and parts.scheme != "data":
                    found.append(f"{name}: loads {link} from elsewhere")
                continue
            count += 1
            target = _target(site, page, parts.path)
            if not target.is_file():
                found.append(f"{name}: {link} leads nowhere")
            elif parts.fragment and target in documents and not _has(documents[target], parts.fragment):
                found.append(f"{name}: {link} leads to an anchor that is not there")
    return found + _styles_from_elsewhere(site), count


def _target(site: Path, page: Path, path: str) -> Path:
    path = unquote(path)
    target = site / path.lstrip("/") if path.startswith("/") else page.parent / path if path else page
    target = target.resolve()
    return target / "index.html" if target.is_dir() else target


def _has(document: Document, anchor: str) -> bool:
    return unquote(anchor) in document.anchors or anchor.startswith("__")  # two underscores: the theme's own switches


def _styles_from_elsewhere(site: Path) -> list[str]:
    return [
        f"{style.relative_to(site)}: loads {address} from elsewhere"
        for style in sorted(site.rglob("*.css"))
        for address in _STYLE_ADDRESS.findall(style.read_text(encoding="utf-8"))
        if urlsplit(address).scheme in ("http", "https") or address.startswith("//")
    ]


def main(folder: str) -> int:
    """Print the faults of a site; 1 where there are any."""
    found, count = faults(Path(folder).resolve())
    sys.stdout.writelines(f"{fault}\n" for fault in found)
    sys.stderr.write(f"{folder}: {count} links followed, {len(found)} faults\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

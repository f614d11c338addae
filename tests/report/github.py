"""README.md as GitHub and the Hub render it: cmark-gfm with raw HTML let through, and what may come out of it."""

import re
from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options

FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)

TAGS = {
    "h1", "h2", "h3", "p", "strong", "em", "code", "pre", "a", "img", "ul", "li", "table", "thead", "tbody", "tr", "th",
    "td", "details", "summary",
}  # fmt: skip
"""All that our templates make."""


def github_html(markdown: str) -> str:
    """GitHub's rendering; raw HTML is let through, so that whatever slipped in is seen."""
    text = FRONT_MATTER.sub("", markdown, count=1)
    return cmarkgfm.github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE)


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.comments: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        self.comments.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

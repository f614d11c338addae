"""README.html: the Markdown of the report as one page that needs nothing else.

The page is made of README.md itself, so that the two never differ. Markdown's raw HTML is off: whatever slipped through
the escaping stands there as text. Only the folds, which are archiver's own, become elements.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from archiver._resources import resource_folder
from archiver.report.context import INVENTORY_MARK, SUMMARY_MARK
from archiver.report.inventory import InventoryLine
from archiver.report.readme import fill_inventory

_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_FOLD = re.compile(r"<details><summary>([^<>]*)</summary>")
_MARK = re.compile(r"<!-- archiver: [a-z ]+ -->")
_HEADINGS_LISTED = "h2"
_WIDTH = re.compile(rb'<svg[^>]* width="([0-9]{1,6}(?:\.[0-9]{1,9})?)pt"')
_FULL_WIDTH_POINTS = 500
"""Figures of at least this width fill the column, others stand beside each other in their own size."""


def render_page(markdown: str, title: str, figures: Mapping[str, bytes]) -> str:
    """The page.

    Args:
        markdown: README.md; its marks stay in the page, each where it stands alone on a line.
        title: of the page.
        figures: SVG documents by their path in the archive; images of other paths are left out.
    """
    text = _FRONT_MATTER.sub("", markdown)
    parser = _parser()
    tokens = parser.parse(text)
    contents = _number_headings(tokens)
    _inline_images(tokens, figures)
    _link_pages(tokens)
    body = _rendered(parser, tokens)
    script, style = resource_text("report.js"), resource_text("report.css")
    page: str = (
        page_environment()
        .get_template("README.html.j2")
        .render(
            title=title,
            style=style,
            script=script,
            script_hash=csp_hash(script),
            style_hash=csp_hash(f"\n{style}\n"),
            contents=contents,
            body=body,
        )
    )
    return page


def fill_page(page: str, lines: Sequence[InventoryLine]) -> str:
    """The page with its inventory in place of the marks."""
    parser = _parser()
    for mark in (INVENTORY_MARK, SUMMARY_MARK):
        page = page.replace(mark, _rendered(parser, parser.parse(fill_inventory(mark, lines))), 1)
    return page


def _rendered(parser: Any, tokens: Any) -> str:
    """Wide tables scroll by themselves; numbers stand on the right by a class: the page allows no styles in tags."""
    for token in tokens:
        if token.attrs.pop("style", None) == "text-align:right":
            token.attrSet("class", "number")
    html: str = parser.renderer.render(tokens, parser.options, {})
    return html.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace("</table>", "</table></div>")


@functools.cache
def resource_text(name: str) -> str:
    """A file of the templates."""
    return (resource_folder("templates") / name).read_text(encoding="utf-8")


def csp_hash(script: str) -> str:
    """By which a page's policy allows a script or style that stands in it."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@functools.cache
def page_environment() -> Any:
    """Of the templates of pages: what is filled in is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(resource_folder("templates")),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@functools.cache
def _parser() -> Any:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "xhtmlOut": False}).enable("table")
    ends_paragraphs: Any = {"alt": ["paragraph", "blockquote", "list"]}
    parser.block.ruler.before("paragraph", "fold", _fold_rule, ends_paragraphs)
    parser.block.ruler.before("paragraph", "mark", _mark_rule, ends_paragraphs)
    parser.add_render_rule("fence", _render_fence)
    return parser


def _line(state: Any, number: int) -> str:
    text: str = state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]
    return text.rstrip()


def _mark_rule(state: Any, start: int, _end: int, silent: bool) -> bool:
    """What the inventory replaces; nothing from outside can look like it, since its `<` is always escaped."""
    line = _line(state, start)
    if not _MARK.fullmatch(line):
        return False
    if not silent:
        state.line = start + 1
        state.push("html_block", "", 0).content = line + "\n"
    return True


def _fold_rule(state: Any, start: int, _end: int, silent: bool) -> bool:
    """`<details><summary>TEXT</summary>` and `</details>`, each alone on its line."""
    line = _line(state, start)
    opening = _FOLD.fullmatch(line)
    if opening is None and line != "</details>":
        return False
    if silent:
        return True
    state.line = start + 1
    if opening is None:
        state.push("details_close", "details", -1).block = True
        return True
    state.push("details_open", "details", 1).block = True
    state.push("summary_open", "summary", 1)
    inline = state.push("inline", "", 0)
    inline.content, inline.children, inline.map = opening[1], [], [start, start + 1]
    state.push("summary_close", "summary", -1).block = True
    return True


def _render_fence(_renderer: Any, tokens: Any, index: int, _options: Any, _env: Any) -> str:
    token = tokens[index]
    return f'<pre tabindex="0"><code>{_coloured(token.content, token.info.strip())}</code></pre>\n'


@functools.lru_cache(maxsize=64)
def _coloured(text: str, language: str) -> str:
    """Code, coloured by pygments where it knows the language; much of it is the same in every report and seal."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language or "text")
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    code: str = highlight(text, lexer, HtmlFormatter(nowrap=True))
    return code


def _number_headings(tokens: Any) -> list[tuple[str, str]]:
    """Give every section an anchor; the list of (anchor, text) is the page's contents."""
    found: list[tuple[str, str]] = []
    for index, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == _HEADINGS_LISTED:
            anchor = f"section-{len(found) + 1}"
            token.attrSet("id", anchor)
            found.append((anchor, "".join(child.content for child in tokens[index + 1].children or ())))
    return found


def _width_points(svg: bytes) -> float:
    match = _WIDTH.search(svg[:1000])
    return float(match[1]) if match else 0.0


def _link_pages(tokens: Any) -> None:
    """The reports of other runs are linked to as pages, too."""
    for token in tokens:
        for child in token.children or ():
            href = str(child.attrGet("href") or "") if child.type == "link_open" else ""
            if href.startswith("../") and href.endswith("/README.md"):
                child.attrSet("href", href.removesuffix(".md") + ".html")


def _inline_images(tokens: Any, figures: Mapping[str, bytes]) -> None:
    for token in tokens:
        for child in token.children or ():
            if child.type == "image":
                data = figures.get(child.attrGet("src") or "")
                child.attrSet("src", "data:image/svg+xml;base64," + base64.b64encode(data or b"").decode())
                child.attrSet("class", "wide" if _width_points(data or b"") >= _FULL_WIDTH_POINTS else "narrow")
                child.attrSet("loading", "lazy")

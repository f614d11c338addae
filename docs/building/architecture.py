"""Draws docs/pictures/architecture.svg: the layers of pyproject.toml, each with the first sentence of its code.

`make pictures` writes it anew; a test compares what lies there with what is drawn here. Colours read on light and dark.
"""

from __future__ import annotations

import ast
import re
import textwrap
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "pictures" / "architecture.svg"

WIDTH, GAP, HEAD = 960, 7, 118
CHARACTER = 6.4
"""Width of a character of the small text, roughly."""
_GROUPS = {
    "#5b4a86": ("cli", "testing", "dashboard", "catalog", "export", "ensemble", "reproduction"),
    "#8a4b2d": ("training", "data", "repairing"),
    "#23606e": ("closing", "sealing", "report", "comparison", "remote", "archive", "collect", "sampling", "scoring"),
}
_GROUND = "#45525c"
_FLOW = (
    ("your script", "model.fit(..., callbacks=[RunArchiver])"),
    ("an archive", "a folder of plain files, sealed"),
    ("any reader", "archiver verify, a browser, sha256sum"),
)


def layers() -> list[list[str]]:
    """The modules of each layer, from the top, without `archiver.`."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layered,) = (each for each in contracts if each["type"] == "layers")
    return [[name.removeprefix("archiver.") for name in layer.split(" | ")] for layer in layered["layers"]]


def sentence(module: str) -> str:
    """The first sentence of a module's docstring."""
    path = ROOT / "archiver" / module
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = " ".join((ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").split())
    return re.split(r"(?<=\w)\.(?: |$)|; ", text.replace("`", ""))[0]


def fitted(text: str, characters: int, count: int) -> list[str]:
    """The text in at most `count` lines, without as many of its last clauses as do not fit.

    Raises:
        ValueError: Its first clause alone is too long.
    """
    lines = textwrap.wrap(text, characters)
    if len(lines) <= count:
        return lines
    shorter = re.sub(r"[,:] [^,:]*$", "", text)
    if shorter == text:
        raise ValueError(f"{text!r} is longer than {count} line(s) of {characters} characters: say it in fewer words")
    return fitted(shorter, characters, count)


def colour(module: str) -> str:
    """One of four, by what the layer is for."""
    return next((colour for colour, names in _GROUPS.items() if module in names), _GROUND)


def _text(x: float, y: float, words: str, *, size: int = 12, weight: str = "normal") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="#fff">{escape(words)}</text>'


def _box(x: float, y: float, width: float, height: float, fill: str) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" fill="{fill}"/>'


def _height(modules: list[str]) -> int:
    return 40 if len(modules) == 1 else 54


def _layer(modules: list[str], y: int) -> list[str]:
    width = (WIDTH - GAP * (len(modules) - 1)) / len(modules)
    height = _height(modules)
    parts = []
    for index, module in enumerate(modules):
        x = index * (width + GAP)
        lines = fitted(sentence(module), int(width / CHARACTER), 1 if len(modules) == 1 else 2)
        parts += [_box(x, y, width, height, colour(module)), _text(x + 10, y + 17, module, size=13, weight="bold")]
        parts += [_text(x + 10, y + 32 + 13 * number, line, size=11) for number, line in enumerate(lines)]
    return parts


def _flow() -> list[str]:
    width = (WIDTH - 2 * 60) / 3
    parts = []
    for index, (title, words) in enumerate(_FLOW):
        x = index * (width + 60)
        parts += [_box(x, 0, width, 62, "#2f6b4f"), _text(x + 12, 26, title, size=15, weight="bold")]
        parts.append(_text(x + 12, 46, words, size=12))
        if index:
            parts.append(f'<path d="M{x - 52:g} 31h36m-9 -7l9 7l-9 7" fill="none" stroke="#8a949c" stroke-width="3"/>')
    middle = WIDTH / 2
    parts.append(f'<path d="M{middle:g} 110v-38m-7 9l7 -9l7 9" fill="none" stroke="#8a949c" stroke-width="3"/>')
    return parts


def picture() -> str:
    """The SVG."""
    parts, height = _flow(), HEAD
    for modules in layers():
        parts += _layer(modules, height)
        height += _height(modules) + GAP
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="system-ui, sans-serif">',
        "<title>How archiver is built: layers that import downwards only</title>",
        *parts,
        "</svg>\n",
    ])  # fmt: skip


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")

"""Text from archives on a page: always escaped. Streamlit's own texts are Markdown, with links and formulas."""

from __future__ import annotations

from html import escape
from typing import Any, Literal

import streamlit as st

from archiver.archive.findings import printable

MAXIMAL_LENGTH = 2000


def shown(text: object, limit: int = MAXIMAL_LENGTH) -> str:
    """On one line, without control characters, cut."""
    plain = printable(str(text))
    return plain if len(plain) <= limit else plain[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def html(text: object, limit: int = MAXIMAL_LENGTH) -> str:
    """As HTML that shows the text and nothing else; for Plotly's labels too, which know some tags."""
    return escape(shown(text, limit))


def heading(text: object, level: Literal[1, 2, 3] = 1) -> None:
    """A heading."""
    st.html(f"<h{level}>{html(text, 200)}</h{level}>")


def paragraph(text: object) -> None:
    """A paragraph."""
    st.html(f"<p>{html(text)}</p>")


def problem(text: object) -> None:
    """What went wrong, in lines."""
    lines = "<br>".join(html(line) for line in str(text).splitlines())
    st.html(f'<div role="alert" style="border-left: 4px solid #D55E00; padding: .5em 1em"><pre>{lines}</pre></div>')


def facts(rows: list[tuple[str, Any]]) -> None:
    """Names and values, as a table without a head."""
    cells = "".join(
        f'<tr><th scope="row" style="text-align:left">{html(k)}</th><td>{html(v)}</td></tr>' for k, v in rows
    )
    st.html(f"<table>{cells}</table>")

"""The cells that IPython has run: in a notebook, or at its prompt, they are the program."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archiver.collect.command import recordable
from archiver.collect.redaction import redact_source, redact_text
from archiver.collect.surroundings import shell
from archiver.records.base import Unavailable

MAXIMAL_BYTES = 4 << 20


@dataclass(frozen=True)
class TypedCells:
    """What was typed, as it was typed: it may hold secrets."""

    sources: tuple[tuple[int, str], ...]
    """IPython's number of each cell, and its text; in the order in which they were run."""
    notebook: str | Unavailable
    """Path of the notebook, as its program tells it."""


@dataclass(frozen=True)
class CellScript:
    """The cells as a script in the percent format, which editors and Jupytext read."""

    text: str
    left_out: int
    """The earliest cells, for want of room."""
    redacted: bool


def typed_cells() -> TypedCells | None:
    """The cells run so far, the present one included; None without IPython. A cell that ran twice is there twice."""
    running = shell()
    history = getattr(running, "user_ns", {}).get("In")
    if not isinstance(history, list):
        return None
    cells = tuple((number, text) for number, text in enumerate(history) if isinstance(text, str) and text.strip())
    return TypedCells(cells, _notebook_path(running))


def cell_script(cells: TypedCells, maximal_bytes: int = MAXIMAL_BYTES) -> CellScript:
    """The script, secrets removed. Lines that only IPython understands (`%magic`, `!command`) stay as they are."""
    redacted = tuple((number, redact_source(source)) for number, source in cells.sources)
    pieces = [f"# %% [{number}]\n{source.rstrip()}\n" for number, source in redacted]
    kept = _last_that_fit(pieces, maximal_bytes)
    return CellScript("\n".join(kept), len(pieces) - len(kept), redacted != cells.sources)


def _last_that_fit(pieces: list[str], maximal_bytes: int) -> list[str]:
    size = 0
    for position in range(len(pieces) - 1, -1, -1):
        size += len(pieces[position].encode("utf-8", "surrogatepass")) + 1
        if size > maximal_bytes:
            return pieces[position + 1 :]
    return pieces


def _notebook_path(running: Any, environ: Mapping[str, str] = os.environ) -> str | Unavailable:
    """Visual Studio Code and nbclient put the path among the user's variables, Jupyter Server into the environment."""
    names = getattr(running, "user_ns", {})
    given = (names.get("__vsc_ipynb_file__"), names.get("__session__"), environ.get("JPY_SESSION_NAME"))
    path = next((each for each in given if isinstance(each, str) and each), None)
    if path is not None:
        return recordable(redact_text(path))
    if "ipykernel" in sys.modules:
        return Unavailable(unavailable="the program that shows the notebook does not tell the kernel its path")
    return Unavailable(unavailable="the cells were typed at IPython's prompt")

"""The confusion matrix: what the test samples are, against what the model took them for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archiver.report.figures.style import HALF_WIDTH_INCHES, WIDTH_INCHES, drawn, shortened

MAXIMAL_NUMBERED = 25
"""With more classes the cells have no numbers, and every n-th class a name."""

MAXIMAL_NARROW = 12
"""Up to here the figure has half the width, so that another one can stand beside it."""
_HALF_HEIGHT_INCHES = 3.9


def confusion_matrix(matrix: Sequence[Sequence[float]], names: Sequence[str]) -> bytes:
    """The figure.

    Args:
        matrix: square; a row per true class, a column per predicted one; samples, or weights of samples.
        names: of the classes, in order.
    """
    size = len(names)
    has_numbers = size <= MAXIMAL_NUMBERED
    stride = 1 if has_numbers else -(-size // MAXIMAL_NUMBERED)
    shown = range(0, size, stride)
    labels = [shortened(names[index], 14) for index in shown]
    side = min(WIDTH_INCHES - 2, 0.4 * size)
    room = 0.075 * max(map(len, labels))
    is_narrow = size <= MAXIMAL_NARROW
    width = HALF_WIDTH_INCHES if is_narrow else min(WIDTH_INCHES, side + room + 0.7)
    height = _HALF_HEIGHT_INCHES if is_narrow else side + room + 0.7

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        _draw_shares(axes, matrix)
        upright = max(map(len, labels)) > 3  # noqa: PLR2004 - what fits above a cell
        axes.set_xticks(list(shown), labels, rotation=90 if upright else 0)
        axes.set_yticks(list(shown), labels)
        axes.tick_params(length=0)
        axes.set_title("confusion matrix")
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.set_aspect("equal")
        axes.set_anchor("C")
        for spine in axes.spines.values():
            spine.set_visible(False)
        if has_numbers:
            _write_numbers(axes, matrix)

    return drawn(height, draw, width)


def _draw_shares(axes: Any, matrix: Sequence[Sequence[float]]) -> None:
    """Shades are shares of the true class, so that rare classes are seen; what is right is blue, what is wrong red.

    Cells are rectangles, not an image: an image in SVG would hold a PNG with its own time and size.
    """
    from matplotlib.collections import PolyCollection

    squares, colours = [], []
    for row, counts in enumerate(matrix):
        total = sum(counts) or 1.0
        for column, count in enumerate(counts):
            if not count and row != column:
                continue
            left, low = column - 0.47, row - 0.47
            squares.append([(left, low), (left + 0.94, low), (left + 0.94, low + 0.94), (left, low + 0.94)])
            colours.append(shade(count / total, is_right=row == column))
    size = len(matrix)
    axes.add_collection(PolyCollection(squares, facecolors=colours, edgecolors="none"))
    axes.set_xlim(-0.5, size - 0.5)
    axes.set_ylim(size - 0.5, -0.5)


def shade(share: float, *, is_right: bool) -> tuple[float, float, float]:
    """The colour of a cell: red, green and blue from 0 to 1."""
    full = (0.0, 0.447, 0.698) if is_right else (0.835, 0.369, 0.0)
    strength = 0.06 + 0.94 * share if is_right else min(1.0, 0.12 + 1.6 * share)
    red, green, blue = (1 - strength * (1 - part) for part in full)
    return red, green, blue


def _write_numbers(axes: Any, matrix: Sequence[Sequence[float]]) -> None:
    largest = max(max(row) for row in matrix)
    font_size = 8.5 if len(matrix) <= 12 and largest < 10_000 else 6.5  # noqa: PLR2004
    for row, counts in enumerate(matrix):
        total = sum(counts) or 1.0
        for column, count in enumerate(counts):
            if count:
                colour = readable_on(shade(count / total, is_right=row == column))
                text = axes.text(
                    column, row, _number(count), ha="center", va="center", color=colour, fontsize=font_size
                )
                text.set_in_layout(False)


def readable_on(colour: tuple[float, float, float]) -> str:
    """Black or white, whichever has more contrast (WCAG 2) with a colour."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]  # noqa: PLR2004
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"


def _number(count: float) -> str:
    return f"{count:.0f}" if float(count).is_integer() else f"{count:.1f}"

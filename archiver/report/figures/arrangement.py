"""Where the panels of a figure stand, so that their labels fit.

Matplotlib's own constrained layout measures every text twice and again while drawing, which was half of the time that
a figure took. Labels hardly change their size with the panel, so measuring once is enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EDGE_PIXELS = 4.0
"""Free space around all."""
GAP_SHARE = 0.03
"""Free space between two panels, as a share of the figure's width."""


class _Room(NamedTuple):
    """What the labels of a panel need on its sides, in pixels."""

    left: float
    right: float
    bottom: float
    top: float


def arrange(figure: Figure) -> None:
    """Give every panel of a figure made by `subplots` the same size, as large as the labels let it be.

    A panel of equal aspect keeps it, within that size.
    """
    figure.subplots_adjust(0.1, 0.15, 0.9, 0.9)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    rooms = {axes: _room(axes) for axes in panels}
    places = {axes: _place(axes) for axes in panels}
    grid = panels[0].get_subplotspec().get_gridspec()  # type: ignore[union-attr]
    columns = [[rooms[axes] for axes in panels if places[axes][1] == column] for column in range(grid.ncols)]
    rows = [[rooms[axes] for axes in panels if places[axes][0] == row] for row in range(grid.nrows)]
    lefts, rights = (
        [max((getattr(room, side) for room in column), default=0.0) for column in columns] for side in ("left", "right")
    )
    tops, bottoms = (
        [max((getattr(room, side) for room in row), default=0.0) for row in rows] for side in ("top", "bottom")
    )
    total_width, total_height = figure.bbox.width, figure.bbox.height
    gap = GAP_SHARE * total_width
    width = (total_width - 2 * EDGE_PIXELS - sum(lefts) - sum(rights) - gap * (grid.ncols - 1)) / grid.ncols
    height = (total_height - 2 * EDGE_PIXELS - sum(tops) - sum(bottoms) - gap * (grid.nrows - 1)) / grid.nrows
    for axes in panels:
        row, column = places[axes]
        x = EDGE_PIXELS + column * (width + gap) + sum(lefts[: column + 1]) + sum(rights[:column])
        y = EDGE_PIXELS + row * (height + gap) + sum(tops[: row + 1]) + sum(bottoms[:row]) + height
        bounds = (x / total_width, 1 - y / total_height, width / total_width, height / total_height)
        axes.set_position(tuple(max(each, 0.01) for each in bounds))  # type: ignore[arg-type]


def _room(axes: Axes) -> _Room:
    outer = axes.get_tightbbox()
    inner = axes.get_window_extent()
    if outer is None:
        return _Room(0, 0, 0, 0)
    return _Room(
        max(0, inner.x0 - outer.x0), max(0, outer.x1 - inner.x1),
        max(0, inner.y0 - outer.y0), max(0, outer.y1 - inner.y1),
    )  # fmt: skip


def _place(axes: Axes) -> tuple[int, int]:
    spec = axes.get_subplotspec()
    return (spec.rowspan.start, spec.colspan.start) if spec is not None else (0, 0)

"""How all figures look: one width, one font size, colours that colour-blind readers can tell apart.

The colours are those of Okabe and Ito (Color Universal Design, 2008). Text stays text, so that a figure can be
searched and read aloud; nothing in a text is taken for mathematics.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

from archiver.report.figures.arrangement import arrange

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_INCHES = 8.4
"""About 800 pixels: the width of a README's column."""

HALF_WIDTH_INCHES = 4.1
"""Two such figures stand side by side in a README's column."""

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#AA4499"
ORANGE_TEXT = "#A84B00"
"""Orange is too light to be read on white; this is the same hue, darker."""

TEXT, MUTED, GRID = "#24292f", "#57606a", "#d8dee4"

MAXIMAL_LABEL_LENGTH = 24

_SETTINGS: Any = {
    "svg.hashsalt": "archiver",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": True,
    "text.color": TEXT,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "path.simplify": True,
}


def drawn(height_inches: float, draw: Any, width_inches: float = WIDTH_INCHES) -> bytes:
    """The SVG document of a figure that `draw(figure)` fills.

    Args:
        height_inches: the height.
        draw: called with an empty `matplotlib.figure.Figure`; it makes its panels by `subplots`.
        width_inches: the width; that of a README where nothing else is said.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        figure = Figure(figsize=(width_inches, height_inches), facecolor="white")
        draw(figure)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)  # viewers have it
            arrange(figure)
            return _svg(figure)


def _svg(figure: Figure) -> bytes:
    target = io.BytesIO()
    no_metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(target, format="svg", metadata=no_metadata)
    return b"".join(line.rstrip() + b"\n" for line in target.getvalue().splitlines())


def shortened(text: str, limit: int = MAXIMAL_LABEL_LENGTH) -> str:
    """A label that fits, of printable characters."""
    plain = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return plain if len(plain) <= limit else plain[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def calm(axes: Axes) -> None:
    """Horizontal grid lines only, behind the data."""
    axes.set_axisbelow(True)
    axes.grid(axis="y")
    axes.tick_params(length=0)

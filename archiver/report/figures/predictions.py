"""What a regression predicts against what is true, and how its errors are distributed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archiver.report.figures.style import BLUE, MUTED, calm, drawn

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAXIMAL_POINTS = 1000
"""Of more samples every n-th is drawn; the errors are counted of all."""
LEAST_POINTS = 3
_BARS = 24


def predictions_figure(target: NDArray[Any], predicted: NDArray[Any]) -> bytes | None:
    """The figure; None where there are too few samples that are finite.

    Args:
        target: true values, shape (n,).
        predicted: of the same samples, shape (n,).
    """
    import numpy as np

    target, predicted = target.astype("float64"), predicted.astype("float64")
    is_finite = np.isfinite(target) & np.isfinite(predicted)
    target, predicted = target[is_finite], predicted[is_finite]
    if len(target) < LEAST_POINTS:
        return None
    stride = -(-len(target) // MAXIMAL_POINTS)

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        _draw_points(left, target[::stride], predicted[::stride])
        _draw_errors(right, predicted - target)

    return drawn(3.4, draw)


def _draw_points(axes: Any, target: NDArray[Any], predicted: NDArray[Any]) -> None:
    low, high = float(min(target.min(), predicted.min())), float(max(target.max(), predicted.max()))
    axes.plot([low, high], [low, high], color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    axes.plot(target, predicted, "o", color=BLUE, markersize=3.2, markeredgewidth=0, alpha=0.55)
    axes.set_title("predicted against true values")
    axes.set_xlabel("true")
    axes.set_ylabel("predicted")
    axes.annotate(
        "perfect", (high, high), (-3, -4), textcoords="offset points", color=MUTED, fontsize=8, ha="right", va="top",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )  # fmt: skip
    calm(axes)


def _draw_errors(axes: Any, errors: NDArray[Any]) -> None:
    import numpy as np

    counts, edges = np.histogram(errors, bins=_BARS)
    axes.bar(edges[:-1], counts, width=np.diff(edges) * 0.92, align="edge", color=BLUE)
    axes.axvline(0.0, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    axes.set_title(f"errors: mean {errors.mean():.3g}, standard deviation {errors.std():.3g}")
    axes.set_xlabel("predicted minus true")
    axes.set_ylabel("samples")
    calm(axes)

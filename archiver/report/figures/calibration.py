"""The reliability diagram: how often what is predicted with some confidence is right."""

from __future__ import annotations

from typing import Any

from archiver.records.scores import CalibrationPart
from archiver.report.figures.style import BLUE, MUTED, calm, drawn


def calibration_curve(calibration: CalibrationPart) -> bytes | None:
    """The figure; None where no prediction was binned.

    Args:
        calibration: the bins; the area of a point is its share of the predictions.
    """
    bins = [each for each in calibration.bins if each.count]
    total = sum(each.count for each in bins)
    if not bins:
        return None

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
        axes.annotate(
            "perfect", (0.05, 0.05), (-4, 4), textcoords="offset points", color=MUTED, fontsize=8, rotation=45,
            rotation_mode="anchor",
        )  # fmt: skip
        x, y = [each.confidence for each in bins], [each.accuracy for each in bins]
        axes.plot(x, y, color=BLUE, linewidth=0.9, alpha=0.5)
        axes.scatter(x, y, s=[18 + 260 * each.count / total for each in bins], color=BLUE, zorder=3, clip_on=False)
        axes.set_xlim(0, 1.03)
        axes.set_ylim(0, 1.06)
        axes.set_xlabel("confidence of the prediction")
        axes.set_ylabel("share that is right")
        axes.set_aspect("equal")
        axes.set_anchor("W")
        error = calibration.expected_calibration_error
        axes.set_title(f"expected calibration error {error:.3f}; area of a point: its share of {total:,} predictions")
        calm(axes)

    return drawn(3.6, draw)

"""The reliability diagram: how often what is predicted with some confidence is right."""

from __future__ import annotations

import math
from typing import Any

from archiver.records.scores import CalibrationPart
from archiver.report.figures.style import BLUE, HALF_WIDTH_INCHES, MUTED, calm, drawn

HEIGHT_INCHES = 3.9
_NORMAL_95 = 1.96


def calibration_curve(calibration: CalibrationPart) -> bytes | None:
    """The figure; None where no prediction was binned.

    Args:
        calibration: the bins; the area of a point is its share of the predictions, the line through it the 95 %
            interval of the share that is right.
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
        low, high = zip(*(wilson_interval(each.accuracy, each.count) for each in bins), strict=True)
        axes.vlines(x, low, high, color=BLUE, linewidth=1.2, alpha=0.35)
        axes.scatter(x, y, s=[14 + 220 * each.count / total for each in bins], color=BLUE, zorder=3, clip_on=False)
        axes.set_xlim(0, 1.03)
        axes.set_ylim(0, 1.06)
        axes.set_xlabel("confidence of the prediction")
        axes.set_ylabel("share that is right, with 95 % interval")
        axes.set_title(f"calibration error {calibration.expected_calibration_error:.3f}")
        calm(axes)

    return drawn(HEIGHT_INCHES, draw, HALF_WIDTH_INCHES)


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share that was seen `count` times (Wilson, 1927)."""
    squared = _NORMAL_95**2
    middle = (share + squared / (2 * count)) / (1 + squared / count)
    half = _NORMAL_95 * math.sqrt(share * (1 - share) / count + squared / (4 * count**2)) / (1 + squared / count)
    return max(0.0, middle - half), min(1.0, middle + half)

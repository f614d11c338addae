"""How the monitored metric converged; the formulas and their sources stand at the fields of `CurveConvergence`."""

from __future__ import annotations

from typing import Any

from archiver.archive.curves import Curve, CurvePoint, curve_of, direction_of, extremes, median
from archiver.archive.directions import Mode, is_better
from archiver.archive.overfitting import build_overfitting
from archiver.records.base import Unavailable
from archiver.records.performance import Convergence, CurveConvergence, CurveState, PhaseConvergence
from archiver.records.training import History
from archiver.storage.journal import JournalContents

MINIMAL_VALUES = 3
"""A third of a curve, and a trend that one wild value does not make, take three."""

PLATEAU_SHARE = 0.01
STATE_SHARE = 0.05

MAXIMAL_VALUES_OF_ALL_PAIRS = 100
"""All pairs of more values would take too long: 5,000 slopes now."""


def build_convergence(contents: JournalContents, history: History) -> Convergence | Unavailable:
    """Of the metric that decided which epoch is the best, else of `val_loss`, else of `loss`."""
    monitor, mode = _monitored(contents, history)
    if monitor is None or mode is None:
        return Unavailable(unavailable="no epoch has a value of a loss, or of a metric that was monitored")
    phases = [(phase, curve_of([phase], monitor)) for phase in history.phases] if len(history.phases) > 1 else []
    return Convergence(
        monitor=monitor,
        direction=mode,
        whole_run=CurveConvergence(**curve_convergence(curve_of(history.phases, monitor), mode)),
        phases=tuple(
            PhaseConvergence(phase=phase.phase, **curve_convergence(curve, mode))
            for phase, curve in phases
            if len(curve) >= MINIMAL_VALUES
        ),
        overfitting=build_overfitting(history, monitor, mode),
        early_stopping=history.phases[-1].early_stopping,
    )


def _monitored(contents: JournalContents, history: History) -> tuple[str | None, Mode | None]:
    best = [event.details for event in contents.events if event.event == "best_epoch"]
    names = [best[-1]["monitor"]] if best else []
    for name in [*names, "val_loss", "loss"]:
        if curve_of(history.phases, name):
            mode = best[-1]["mode"] if names and name == names[0] else direction_of(history, name)
            return name, mode if mode in ("min", "max") else None
    return None, None


def curve_convergence(curve: Curve, mode: Mode) -> dict[str, Any]:
    """The fields of `CurveConvergence`; `curve` may hold NaN and infinities, or nothing."""
    finite = [point for point in curve if point.is_finite]
    plateau = _plateau(finite, mode)
    late = last_third(finite)
    too_few = Unavailable(unavailable=f"fewer than {MINIMAL_VALUES} values are finite")
    share = _late_share(finite, late, mode) if late else too_few
    return {
        "state": _state(curve, share),
        "plateau": plateau.recorded() if plateau else Unavailable(unavailable="no value is finite"),
        "epochs_after_plateau": finite[-1].place - plateau.place
        if plateau
        else Unavailable(unavailable="no value is finite"),
        "trend_per_epoch": slope(finite)
        if len(finite) > 1
        else Unavailable(unavailable="a slope needs two finite values"),
        "late_trend_per_epoch": slope(late) if late else too_few,
        "late_improvement_share": share,
        "relative_spread": _relative_spread(late) if late else too_few,
        "value_count": len(curve),
        "non_finite_count": len(curve) - len(finite),
    }


def slope(finite: Curve) -> float:
    """Theil and Sen's slope of at least two finite values, by all pairs or, of many values, the incomplete method."""
    count = len(finite)
    if count > MAXIMAL_VALUES_OF_ALL_PAIRS:
        return median(_between(finite[i], finite[i + (count + 1) // 2]) for i in range(count // 2))
    return median(_between(finite[i], finite[j]) for i in range(count) for j in range(i + 1, count))


def _between(one: CurvePoint, other: CurvePoint) -> float:
    # Divided first: two values of opposite signs near the largest float differ by more than that.
    return (other.value / 2 - one.value / 2) / (other.place - one.place) * 2


def last_third(finite: Curve) -> Curve:
    """The last third of the values, rounded up, three at least; nothing of fewer than three."""
    if len(finite) < MINIMAL_VALUES:
        return []
    return finite[-max(MINIMAL_VALUES, -(-len(finite) // 3)) :]


def _plateau(finite: Curve, mode: Mode) -> CurvePoint | None:
    if not finite:
        return None
    low, high = extremes(finite)
    final = low.value if mode == "min" else high.value
    allowed = PLATEAU_SHARE * abs(final - finite[0].value)
    best: float | None = None
    for point in finite:
        if is_better(point.value, best, mode):
            best = point.value
            if abs(final - best) <= allowed:
                return point
    return finite[-1]


def _late_share(finite: Curve, late: Curve, mode: Mode) -> float:
    low, high = extremes(finite)
    if low.value == high.value:
        return 0.0
    moved = slope(late) * (late[-1].place - late[0].place)
    return (-moved if mode == "min" else moved) / (high.value - low.value)


def _state(curve: Curve, share: float | Unavailable) -> CurveState | Unavailable:
    if curve and not curve[-1].is_finite:
        return "diverged"
    if isinstance(share, Unavailable):
        return share
    return "improving" if share > STATE_SHARE else "worsening" if share < -STATE_SHARE else "plateau"


def _relative_spread(late: Curve) -> float | Unavailable:
    low, high = extremes(late)
    middle = abs(median(point.value for point in late))
    return (high.value - low.value) / middle if middle else Unavailable(unavailable="the median is 0")

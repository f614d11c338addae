"""Use of the machine over time: memory, processors and GPUs, temperatures with cooling breaks."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archiver.records.base import Unavailable
from archiver.records.telemetry import CoolingSummary, GuardPart, PhaseTelemetry, Telemetry
from archiver.report.figures.style import BLUE, GREEN, MUTED, ORANGE, PURPLE, calm, drawn, shortened
from archiver.report.trace_rows import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GIBIBYTE = 1 << 30
LEAST_POINTS = 3
"""With fewer there is nothing to see."""

MAXIMAL_BREAKS = 200
MAXIMAL_GPUS = 2
COLOURS = (BLUE, ORANGE, GREEN, PURPLE)
SHADE = "#cfe8f5"


@dataclass(frozen=True)
class Curve:
    """A column of a trace, and what it is called in a figure."""

    column: str
    label: str


MEMORY = (
    Curve("rss_bytes", "process, resident"),
    Curve("anonymous_bytes", "of it, not backed by files"),
    Curve("children_rss_bytes", "child processes"),
)
UTILISATION = (Curve("cpu_percent", "process (100 is one core)"), Curve("system_cpu_percent", "machine"))
TEMPERATURE = (Curve("cpu_celsius", "processor"), Curve("gpu_celsius", "GPU"))


def memory_figure(trace: Trace, telemetry: Telemetry | None) -> bytes | None:
    """Memory of the process and of GPUs, with the limit at which training ends; None where there is too little.

    Args:
        trace: `traces/memory.csv`.
        telemetry: the record, for limits and phases.
    """
    curves = [each for each in MEMORY if each.column != "children_rss_bytes" or trace.largest(each.column)]
    curves += _of_gpus(trace, "used_bytes")
    limits = [(each.limits.hard_limit_bytes / GIBIBYTE, "limit") for each in _guards(telemetry)[-1:]]
    return _figure("memory, GiB", trace, curves, telemetry, limits=limits, scale=1 / GIBIBYTE)


def utilisation_figure(trace: Trace, telemetry: Telemetry | None) -> bytes | None:
    """Processor and GPUs; see `memory_figure`.

    Args:
        trace: `traces/utilisation.csv`.
        telemetry: the record.
    """
    curves = [*UTILISATION, *_of_gpus(trace, "utilisation_percent")]
    return _figure("utilisation, %", trace, curves, telemetry)


def temperature_figure(trace: Trace, telemetry: Telemetry | None) -> bytes | None:
    """The hottest sensors, their limits, and cooling breaks as bands; see `memory_figure`.

    Args:
        trace: `traces/temperature.csv`.
        telemetry: the record, for limits and breaks.
    """
    targets = [target for _, each in _coolings(telemetry)[-1:] for target in each.targets]
    limits = [(each.limit_celsius, f"limit, {each.part}") for each in targets if each.limit_celsius is not None]
    return _figure("temperature, °C", trace, [*TEMPERATURE, *_of_gpus(trace, "celsius")], telemetry, limits=limits)


def _of_gpus(trace: Trace, what: str) -> list[Curve]:
    numbers = [match[1] for name in trace.columns if (match := re.fullmatch(rf"gpu_(\d+)_{what}", name))]
    return [Curve(f"gpu_{number}_{what}", f"GPU {number}") for number in numbers[:MAXIMAL_GPUS]]


def _phases(telemetry: Telemetry | None) -> Sequence[PhaseTelemetry]:
    return telemetry.phases if telemetry is not None else ()


def _guards(telemetry: Telemetry | None) -> list[GuardPart]:
    return [each.guard for each in _phases(telemetry) if not isinstance(each.guard, Unavailable)]


def _coolings(telemetry: Telemetry | None) -> list[tuple[float, CoolingSummary]]:
    """(when the phase began, its breaks)."""
    return [
        (each.begin_elapsed_seconds, each.cooling)
        for each in _phases(telemetry)
        if not isinstance(each.cooling, Unavailable)
    ]


def _figure(
    title: str,
    trace: Trace,
    curves: Sequence[Curve],
    telemetry: Telemetry | None,
    *,
    limits: Sequence[tuple[float, str]] = (),
    scale: float = 1.0,
) -> bytes | None:
    drawable = [(curve, *trace.points(curve.column)) for curve in curves]
    drawable = [each for each in drawable if len(each[1]) >= LEAST_POINTS]
    if not drawable:
        return None
    unit, seconds_per_unit = _time_unit(trace.seconds[-1])
    divide = 1 / seconds_per_unit
    begins = [phase.begin_elapsed_seconds for phase in _phases(telemetry)[1:]]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.set_title(title)
        axes.set_xlabel(unit)
        calm(axes)
        _shade_breaks(axes, telemetry, divide)
        for (curve, seconds, values), colour in zip(drawable, COLOURS, strict=False):
            label = shortened(f"{curve.label}: {values[-1] * scale:.3g} at the end", 60)
            for place, piece in enumerate(_pieces(seconds, values, begins)):
                x, y = zip(*piece, strict=True)
                axes.plot(
                    [each * divide for each in x], [each * scale for each in y], color=colour, linewidth=1.4,
                    marker="o" if len(x) == 1 else None, markersize=3, label=label if place == 0 else None,
                )  # fmt: skip
        axes.set_ylim(0, 1.15 * max(max(values) * scale for _, _, values in drawable) or 1.0)
        axes.margins(x=0)
        _draw_limits(axes, limits)
        _mark_phases(axes, telemetry, divide)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8, handlelength=1.2)

    return drawn(2.4, draw)


def _pieces(
    seconds: Sequence[float], values: Sequence[float], begins: Sequence[float]
) -> list[list[tuple[float, float]]]:
    """A curve in as many pieces as there are phases: between two of them nothing was measured."""
    found: dict[int, list[tuple[float, float]]] = {}
    for moment, value in zip(seconds, values, strict=True):
        found.setdefault(bisect_right(begins, moment), []).append((moment, value))
    return list(found.values())


def _time_unit(seconds: float) -> tuple[str, float]:
    for unit, length in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 3 * length:
            return unit, length
    return "seconds", 1.0


def _draw_limits(axes: Axes, limits: Sequence[tuple[float, str]]) -> None:
    """A limit that is far above everything would leave the curves flat: it is named, not drawn."""
    top = axes.get_ylim()[1]
    for value, label in limits:
        style: Any = {"color": MUTED, "linewidth": 0.9, "linestyle": (0, (4, 2))}
        if value <= 3 * top:
            axes.axhline(value, label=f"{label}: {value:.3g}", **style)
            axes.set_ylim(top=max(axes.get_ylim()[1], value * 1.05))
        else:
            axes.plot([], [], label=f"{label}: {value:.3g}, above the figure", **style)


def _mark_phases(axes: Axes, telemetry: Telemetry | None, divide: float) -> None:
    for phase in _phases(telemetry)[1:]:
        place = phase.begin_elapsed_seconds * divide
        axes.axvline(place, color=MUTED, linewidth=0.8)
        axes.annotate(
            f"phase {phase.phase + 1}", (place, 1.0), (3, -2), xycoords=("data", "axes fraction"),
            textcoords="offset points", color=MUTED, fontsize=8, va="top",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip


def _shade_breaks(axes: Axes, telemetry: Telemetry | None, divide: float) -> None:
    spans = [
        (begin + each.elapsed_seconds, each.duration_seconds)
        for begin, cooling in _coolings(telemetry)
        for each in cooling.breaks
    ]
    for number, (start, length) in enumerate(spans[:MAXIMAL_BREAKS]):
        label = f"cooling break ({len(spans)})" if number == 0 else None
        axes.axvspan(start * divide, (start + length) * divide, color=SHADE, linewidth=0, label=label, zorder=0)

"""Figures made of horizontal bars: how the classes are distributed, how much each layer has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archiver.archive.summary import counted
from archiver.report.figures.style import BLUE, GREEN, ORANGE, TEXT, drawn, shortened

MAXIMAL_BARS = 30
SPLIT_COLOURS = (BLUE, ORANGE, GREEN)


def class_distribution(splits: Mapping[str, Mapping[str, int]], names: Mapping[str, str]) -> bytes | None:
    """Samples per class, a column for each split; None where there are no classes.

    Args:
        splits: by split, samples by class number.
        names: by class number; a class without one shows its number.
    """
    splits = {name: counts for name, counts in splits.items() if counts}
    labels = sorted({label for counts in splits.values() for label in counts}, key=_order)
    if not labels:
        return None
    shown, rest = labels[:MAXIMAL_BARS], labels[MAXIMAL_BARS:]
    ticks = [shortened(names.get(label, label), 18) for label in shown]
    if rest:
        ticks.append(f"{len(rest)} more, mean")

    def draw(figure: Any) -> None:
        panels = figure.subplots(1, len(splits), squeeze=False)[0]
        for index, (axes, (split, counts)) in enumerate(zip(panels, splits.items(), strict=True)):
            values = [float(counts.get(label, 0)) for label in shown]
            values += [sum(counts.get(label, 0) for label in rest) / len(rest)] if rest else []
            _bars(axes, ticks if index == 0 else (), values, SPLIT_COLOURS[index % 3], "{:,.0f}")
            axes.set_title(f"{shortened(split)}: {counted(sum(counts.values()), 'sample')}")

    return drawn(0.55 + 0.2 * len(ticks), draw)


def _order(label: str) -> tuple[bool, int, str]:
    is_number = label.lstrip("-").isdecimal()
    return (not is_number, int(label) if is_number else 0, label)


def weight_change(
    layers: Sequence[tuple[str, float]], title: str = "change of the weights, relative to where they began"
) -> bytes | None:
    """How far each layer's weights have moved; None without layers.

    Args:
        layers: name, and the norm of the change as a share of the initial norm, in the order of the bars.
        title: of the figure.
    """
    if not layers:
        return None
    shown = list(layers)
    if len(shown) > MAXIMAL_BARS:
        largest = sorted(range(len(layers)), key=lambda index: -layers[index][1])[:MAXIMAL_BARS]
        shown = [layers[index] for index in sorted(largest)]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        _bars(axes, [shortened(name, 32) for name, _ in shown], [100 * share for _, share in shown], BLUE, "{:.3g} %")
        what = "" if len(shown) == len(layers) else f" (the {len(shown)} that changed most of {len(layers)})"
        axes.set_title(f"{title}{what}")

    return drawn(0.55 + 0.2 * len(shown), draw)


def _bars(axes: Any, labels: Sequence[str], values: Sequence[float], colour: str, form: str) -> None:
    places = range(len(values))
    axes.barh(places, values, color=colour, height=0.66)
    axes.set_yticks(list(places) if labels else [], labels)
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[["bottom", "left"]].set_visible(False)
    axes.set_xlim(0, (max(values) or 1.0) * 1.22)
    for place, value in zip(places, values, strict=True):
        text = axes.text(value, place, " " + form.format(value), va="center", fontsize=8, color=TEXT)
        text.set_in_layout(False)  # there is room for it, and laying out takes half of the drawing's time

"""The charts, from rows of the catalogue. Rows without a value leave gaps; without any there is no chart.

Colours are those of Okabe and Ito (Color Universal Design, 2008); what a colour says, a pattern or a symbol says too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import plotly.graph_objects as go

from archiver.dashboard.texts import html
from archiver.ensemble.prediction import memory_time_correlation

Rows = Sequence[Mapping[str, Any]]

BLUE, ORANGE, GREEN, PURPLE, SKY, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#8a8f98"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, "#D55E00")
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "star")
GAIN_UNIT = 0.0001
"""0.01 % of a score that goes from 0 to 1."""
MINIMAL_DECADES = 1.5
FEW_ITERATIONS = 12


def known(rows: Rows, *names: str) -> list[Mapping[str, Any]]:
    """The rows that have a finite number under each of the names."""
    return [row for row in rows if all(_is_number(row.get(name)) for name in names)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _figure(title: str, x: str, y: str) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        title={"text": title}, xaxis_title=x, yaxis_title=y, legend={"orientation": "h", "y": -0.25}, height=420,
        margin={"l": 60, "r": 20, "t": 50, "b": 60},
    )  # fmt: skip
    return figure


def _spans_decades(values: Sequence[float]) -> bool:
    positive = [value for value in values if value > 0]
    return bool(positive) and math.log10(max(positive) / min(positive)) > MINIMAL_DECADES


def _logarithmic(values: Sequence[float]) -> dict[str, Any]:
    """A logarithmic axis; over several decades with a tick each."""
    return {"type": "log", "dtick": 1 if _spans_decades(values) else None}


def _whole_ticks(figure: go.Figure, last: int) -> go.Figure:
    """Ticks at whole numbers, where so few are shown that there would be others."""
    if last <= FEW_ITERATIONS:
        figure.update_xaxes(dtick=1)
    return figure


def _iterations(figure: go.Figure, rows: Rows) -> go.Figure:
    return _whole_ticks(figure, 1 + max((row["iteration"] for row in rows), default=0))


def memory_per_iteration(rows: Rows) -> go.Figure | None:
    """Memory of each training, told apart by what became of the candidate, with the average."""
    measured = known(rows, "iteration", "training_memory_mb")
    if not measured:
        return None
    figure = _figure("Training memory per iteration", "iteration", "MB")
    for accepted, name, colour, pattern in ((True, "accepted", BLUE, ""), (False, "rejected", ORANGE, "/")):
        part = [row for row in measured if bool(row["accepted"]) == accepted]
        figure.add_bar(
            name=name,
            x=[row["iteration"] + 1 for row in part],
            y=[row["training_memory_mb"] for row in part],
            text=[html(row["candidate"], 60) for row in part],
            textposition="none",
            marker={"color": colour, "pattern": {"shape": pattern}},
            hovertemplate="%{text}: %{y:,.1f} MB",
        )
    average = fmean(row["training_memory_mb"] for row in measured)
    figure.add_hline(
        y=average,
        line={"dash": "dash", "color": GREY},
        annotation_text=f"average {average:,.1f} MB",
        annotation_position="top left",
    )
    return _iterations(figure, measured)


def memory_by_type(rows: Rows) -> go.Figure | None:
    """Average and largest memory by type of classifier, with the number of candidates."""
    by_type: dict[str, list[float]] = {}
    for row in known(rows, "training_memory_mb"):
        by_type.setdefault(str(row["classifier_type"]), []).append(row["training_memory_mb"])
    if not by_type:
        return None
    ordered = sorted(by_type.items(), key=lambda item: max(item[1]))
    labels = [f"{html(name, 40)} (n = {len(values)})" for name, values in ordered]
    figure = _figure("Training memory by classifier type", "MB", "")
    figure.add_bar(
        name="average",
        y=labels,
        x=[fmean(values) for _, values in ordered],
        orientation="h",
        marker={"color": BLUE},
    )
    figure.add_scatter(
        name="maximum",
        y=labels,
        x=[max(values) for _, values in ordered],
        mode="markers",
        marker={"color": ORANGE, "symbol": "diamond", "size": 11, "line": {"color": "#000000", "width": 1}},
    )
    figure.update_yaxes(automargin=True)
    return figure


def stage_two_memory(rows: Rows) -> go.Figure | None:
    """Memory of each training of the second stage, with the least, the mean and the largest."""
    measured = known(rows, "iteration", "stage2_memory_mb")
    if not measured:
        return None
    values = [row["stage2_memory_mb"] for row in measured]
    figure = _figure("Second-stage memory at each retraining", "iteration", "MB")
    figure.add_scatter(
        name="second stage",
        x=[row["iteration"] + 1 for row in measured],
        y=values,
        mode="lines+markers",
        line={"color": GREEN},
        marker={"size": 8},
    )
    for name, value, dash in (
        ("min", min(values), "dot"),
        ("mean", fmean(values), "dash"),
        ("max", max(values), "dot"),
    ):
        figure.add_hline(y=value, line={"dash": dash, "color": GREY}, annotation_text=f"{name} {value:,.1f} MB")
    return _iterations(figure, measured)


def efficiency(rows: Rows) -> list[dict[str, Any]]:
    """Of each iteration that raised the score: the megabytes for each 0.01 % gained."""
    raised = [row for row in known(rows, "iteration", "training_memory_mb", "score_gain") if row["score_gain"] > 0]
    return [
        {
            "iteration": row["iteration"],
            "candidate": row["candidate"],
            "mb_per_gain": row["training_memory_mb"] / (row["score_gain"] / GAIN_UNIT),
        }
        for row in raised
    ]


def memory_efficiency(rows: Rows) -> go.Figure | None:
    """Megabytes for each 0.01 % of the score that an iteration gained."""
    found = efficiency(rows)
    if not found:
        return None
    metric = html(rows[0].get("metric") or "score", 20)
    figure = _figure("Memory efficiency", "iteration", f"MB per 0.01 % {metric} gained")
    figure.add_bar(
        name="MB per 0.01 %",
        x=[row["iteration"] + 1 for row in found],
        y=[row["mb_per_gain"] for row in found],
        text=[html(row["candidate"], 60) for row in found],
        textposition="none",
        marker={"color": PURPLE},
        hovertemplate="%{text}: %{y:,.2f} MB",
    )
    values = [row["mb_per_gain"] for row in found]
    if _spans_decades(values):  # else bars begin at zero, as their lengths say
        figure.update_yaxes(**_logarithmic(values))
    return _iterations(figure, found)


def memory_and_time(rows: Rows) -> go.Figure | None:
    """Memory of each training against its time, with their rank correlation."""
    measured = known(rows, "training_memory_mb", "training_seconds")
    if not measured:
        return None
    memory, seconds = ([row[name] for row in measured] for name in ("training_memory_mb", "training_seconds"))
    related = memory_time_correlation(memory, seconds)
    title = "Memory and time" + (f": rank correlation {related:.2f}" if related is not None else "")
    figure = _figure(title, "seconds", "MB")
    types = list(dict.fromkeys(str(row["classifier_type"]) for row in measured))
    for place, kind in enumerate(types):
        part = [row for row in measured if str(row["classifier_type"]) == kind]
        figure.add_scatter(
            name=html(kind, 40),
            x=[row["training_seconds"] for row in part],
            y=[row["training_memory_mb"] for row in part],
            mode="markers",
            marker={"color": CYCLE[place % len(CYCLE)], "symbol": _symbol(place), "size": 9},
        )
    figure.update_xaxes(**_logarithmic(seconds))
    figure.update_yaxes(**_logarithmic(memory))
    return figure


def predicted_memory(rows: Rows) -> go.Figure | None:
    """What was expected of each candidate's memory, and what it was."""
    measured = known(rows, "iteration", "training_memory_mb", "predicted_memory_mb", "predicted_high_mb")
    if not measured:
        return None
    figure = _figure("Expected and actual memory", "iteration", "MB")
    x = [row["iteration"] + 1 for row in measured]
    series = (
        ("actual", "training_memory_mb", BLUE, "circle"),
        ("expected", "predicted_memory_mb", ORANGE, "diamond-open"),
        ("expected at most", "predicted_high_mb", GREY, "triangle-down-open"),
    )
    for name, column, colour, symbol in series:
        y = [row[column] for row in measured]
        figure.add_scatter(name=name, x=x, y=y, mode="markers", marker={"color": colour, "symbol": symbol, "size": 9})
    figure.update_yaxes(**_logarithmic([row[column] for row in measured for _, column, *_ in series]))
    return _iterations(figure, measured)


def _symbol(place: int) -> str:
    """Another one when the colours begin again."""
    return SYMBOLS[(place + place // len(CYCLE)) % len(SYMBOLS)]


def curves(runs: Mapping[str, Mapping[str, Sequence[float | None]]], metric: str) -> go.Figure | None:
    """A metric epoch by epoch, its training and validation values: a dash is a split, a colour a run where there are
    several.

    Args:
        runs: by name of the run, the values of its metrics over all epochs; None: no value.
        metric: without `val_`.
    """
    figure = _figure(html(metric, 60), "epoch", "")
    for place, (run, metrics) in enumerate(runs.items()):
        splits = ((metric, "training", "solid"), (f"val_{metric}", "validation", "dash"))
        for number, (name, split, dash) in enumerate(splits):
            colour = CYCLE[(place if len(runs) > 1 else number) % len(CYCLE)]
            values = metrics.get(name)
            if values and any(_is_number(value) for value in values):
                label = f"{html(run, 60)}, {split}" if len(runs) > 1 else split
                figure.add_scatter(
                    name=label,
                    x=list(range(1, len(values) + 1)),
                    y=[value if _is_number(value) else None for value in values],
                    mode="lines+markers",
                    line={"color": colour, "dash": dash},
                    marker={"symbol": SYMBOLS[place % len(SYMBOLS)], "size": 6},
                )
    longest = max((len(values) for metrics in runs.values() for values in metrics.values()), default=0)
    return _whole_ticks(figure, longest) if figure.data else None


def scores(rows: Rows) -> go.Figure | None:
    """The scores of the ensemble, of each candidate and of the second stage."""
    series = (
        ("ensemble", "ensemble_score", "lines", BLUE, "circle"),
        ("candidate", "score", "markers", ORANGE, "diamond"),
        ("second stage", "stage2_score", "lines+markers", GREEN, "square"),
    )
    figure = _figure("Scores", "iteration", html((rows[0].get("metric") if rows else None) or "score", 40))
    for name, column, mode, colour, symbol in series:
        part = known(rows, "iteration", column)
        if part:
            x, y = [row["iteration"] + 1 for row in part], [row[column] for row in part]
            marker = {"color": colour, "symbol": symbol, "size": 8}
            figure.add_scatter(name=name, x=x, y=y, mode=mode, line={"color": colour}, marker=marker)
    return figure if figure.data else None


def trace(title: str, unit: str, columns: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> go.Figure | None:
    """Measurements over time.

    Args:
        title: of the chart.
        unit: of the values.
        columns: by name, seconds and values.
    """
    figure = _figure(title, "seconds", unit)
    for place, (name, (seconds, values)) in enumerate(columns.items()):
        if values:
            line = {"color": CYCLE[place % len(CYCLE)], "dash": DASHES[place // len(CYCLE) % len(DASHES)]}
            figure.add_scatter(name=html(name, 60), x=list(seconds), y=list(values), mode="lines", line=line)
    return figure if figure.data else None

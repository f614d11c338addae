"""A comparison as one page that needs nothing else: the template `comparison.md.j2`, rendered as reports are."""

from __future__ import annotations

import re
from typing import Any

from archiver.comparison.code import FileDifference
from archiver.comparison.comparing import Comparison
from archiver.report.comparison_words import (
    LAYER_HEAD,
    METRIC_HEAD,
    gaps_of,
    layer_row,
    metric_row,
    predictions_text,
    verdict_lines,
    weights_text,
)
from archiver.report.folding import fold
from archiver.report.markdown import Safe, markdown_text, printable
from archiver.report.page import render_page
from archiver.report.readme import template_environment
from archiver.report.tables import made

CURVES, DISTANCES = "figures/curves.svg", "figures/distances.svg"
MAXIMAL_ROWS = 300
OPEN_DIFF_LINES = 200
"""Longer diffs fold away."""


def comparison_page(comparison: Comparison) -> str:
    """HTML without scripts of strangers and without anything from elsewhere; all text of the archives is escaped."""
    figures = _figures(comparison)
    title = f"{printable(comparison.before.name)[:80]} and {printable(comparison.after.name)[:80]}"
    return render_page(comparison_markdown(comparison, figures), title, figures)


def comparison_markdown(comparison: Comparison, figures: dict[str, bytes]) -> str:
    """The same in Markdown.

    Args:
        comparison: of two runs.
        figures: SVG documents by the path that the text refers to them by.
    """
    effects = comparison.effects
    weights = effects.weights
    causes = [(each.kind, each.subject, *each.texts, each.why) for each in comparison.causes]
    sides = [
        (letter, each.name, each.status, each.path)
        for letter, each in zip("AB", (comparison.before, comparison.after), strict=True)
    ]
    text: str = (
        template_environment()
        .get_template("comparison.md.j2")
        .render(
            sides=made(("", "run", "status", "folder"), "llll", sides),
            verdict=made(
                ("", ""), "ll", [(what, markdown_text(text)) for what, text in verdict_lines(comparison.verdict)]
            ),
            outcome=comparison.verdict.outcome,
            causes=made(("about", "what", "A", "B", "why it matters"), "lllll", map(_long, causes), MAXIMAL_ROWS),
            metrics=made(METRIC_HEAD, "lrrrr", [metric_row(each) for each in effects.metrics], MAXIMAL_ROWS),
            weights=weights_text(weights) if weights is not None else "",
            layers=made(
                LAYER_HEAD, "lrlrr", [layer_row(each) for each in weights.layers] if weights else [], MAXIMAL_ROWS
            ),
            test=[each.text for each in effects.test.metrics] if effects.test else [],
            predictions=[predictions_text(each) for each in effects.test.predictions] if effects.test else [],
            differ=effects.differ,
            figures=figures,
            code=[_code(each) for each in comparison.code],
            gaps=gaps_of(comparison)[:MAXIMAL_ROWS],
        )
    )
    return text


def _long(cells: tuple[str, ...]) -> tuple[Safe, ...]:
    """Explanations are longer than what other tables hold."""
    return tuple(markdown_text(cell, 300) for cell in cells)


def _code(part: FileDifference) -> dict[str, Any]:
    """A fence that is longer than any in the text: nothing in it can end it."""
    lines = [printable(line.removesuffix("\r").expandtabs(8)) for line in part.diff]
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    block = "\n".join((f"{fence}diff", *lines, fence))
    note = part.note or (f"{part.left_out_lines:,} more lines are not shown" if part.left_out_lines else "")
    is_long = len(lines) > OPEN_DIFF_LINES
    return {
        "path": part.path,
        "change": part.change,
        "block": fold(f"{len(lines):,} lines", block) if is_long else Safe(block if lines else ""),
        "note": note,
    }


def _figures(comparison: Comparison) -> dict[str, bytes]:
    from archiver.report.figures.bars import weight_change
    from archiver.report.figures.compared_curves import compared_curves

    names = comparison.before.name, comparison.after.name
    found = {CURVES: compared_curves(comparison.effects.metrics, names)}
    weights = comparison.effects.weights
    layers = [(each.layer, each.distance.relative) for each in weights.layers if each.distance] if weights else []
    finite = [(name, share) for name, share in layers if share == share and share != float("inf")]  # noqa: PLR0124
    found[DISTANCES] = weight_change(finite, "distance of the weights, relative to their norm")
    return {path: svg for path, svg in found.items() if svg is not None}

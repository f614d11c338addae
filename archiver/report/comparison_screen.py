"""A comparison on the terminal. What strangers wrote is printed without control characters, and is no markup."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from archiver.archive.findings import printable
from archiver.comparison.comparing import Comparison
from archiver.comparison.differences import Cause
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

if TYPE_CHECKING:
    from rich.console import Console

MAXIMAL_CAUSES = 60
MAXIMAL_ROWS = 30
MAXIMAL_DIFF_LINES = 400
MAXIMAL_GAPS = 20
TEXT_WIDTH = 120
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def comparison_text(comparison: Comparison) -> str:
    """As `print_comparison` prints it, without colours."""
    from rich.console import Console

    target = io.StringIO()
    print_comparison(comparison, Console(file=target, highlight=False, width=TEXT_WIDTH, color_system=None))
    return target.getvalue().rstrip("\n")


def print_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print the verdict, the candidate causes, the effects, and the code that differs."""
    from rich.console import Console

    console = console or Console(highlight=False)
    before, after = comparison.before, comparison.after
    rows = [
        ("A", f"{before.name}: {before.status} ({before.path})"),
        ("B", f"{after.name}: {after.status} ({after.path})"),
    ]
    _facts(console, [*rows, *verdict_lines(comparison.verdict)])
    _causes(console, comparison)
    _effects(console, comparison)
    _code(console, comparison)
    gaps = gaps_of(comparison)
    if gaps:
        _heading(console, "Not compared")
        _lines(console, _some(gaps, MAXIMAL_GAPS))


def _heading(console: Console, text: str) -> None:
    from rich.text import Text

    console.print()
    console.print(Text(text, "bold"))


def _lines(console: Console, lines: Iterable[str]) -> None:
    from rich.text import Text

    for line in lines:
        console.print(Text(f"  {printable(line)}"))


def _facts(console: Console, rows: Sequence[tuple[str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for what, text in rows:
        table.add_row(Text(what), Text(printable(text)))
    console.print(table)


def _table(console: Console, head: Sequence[str], rows: Sequence[Sequence[str]], limit: int) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=True, show_edge=False)
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows[:limit]:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table)
    if len(rows) > limit:
        _lines(console, [f"and {len(rows) - limit:,} more"])


def _causes(console: Console, comparison: Comparison) -> None:
    _heading(console, "Candidate causes: what was done differently")
    if not comparison.causes:
        _lines(console, ["nothing that is compared"])
        return
    for place, cause in enumerate(comparison.causes[:MAXIMAL_CAUSES], start=1):
        _cause(console, place, cause)
    more = len(comparison.causes) - MAXIMAL_CAUSES
    if more > 0:
        _lines(console, [f"and {more:,} more; see --format json"])


def _cause(console: Console, place: int, cause: Cause) -> None:
    """What differs on one line, why it matters on the next."""
    from rich.padding import Padding
    from rich.text import Text

    text = Text.assemble((f"{place:>3}. ", "dim"), (f"{cause.kind}: ", "dim"), (printable(cause.subject), "bold"))
    text.append(f": {printable(cause.texts[0])} \N{RIGHTWARDS ARROW} {printable(cause.texts[1])}")
    console.print(text)
    if cause.why:
        console.print(Padding(Text(printable(cause.why), "dim"), (0, 0, 0, 5)))


def _effects(console: Console, comparison: Comparison) -> None:
    _heading(console, "Effects: what came out")
    effects = comparison.effects
    if not effects.differ:
        _lines(console, ["nothing that is compared differs"])
    if effects.metrics:
        _table(console, METRIC_HEAD, [metric_row(each) for each in effects.metrics], MAXIMAL_ROWS)
    if effects.weights is not None:
        _lines(console, [f"weights: {weights_text(effects.weights)}"])
        if effects.weights.layers:
            _table(console, LAYER_HEAD, [layer_row(each) for each in effects.weights.layers], MAXIMAL_ROWS)
    if effects.test is not None:
        _lines(console, [f"test {each.text}" for each in effects.test.metrics])
        _lines(console, [f"predictions of {predictions_text(each)}" for each in effects.test.predictions])


def _code(console: Console, comparison: Comparison) -> None:
    """The unified diffs, as any tool prints them: lines are not wrapped."""
    from rich.text import Text

    if not comparison.code:
        return
    _heading(console, "Code")
    left = MAXIMAL_DIFF_LINES
    for part in comparison.code:
        if not part.diff:
            _lines(console, [f"{part.path}: {part.change}; {part.note or 'it is empty'}"])
            continue
        for line in part.diff[:left]:
            style: Any = _STYLES.get(line[:1], "")
            console.print(Text(_source_line(line), style), soft_wrap=True)
        hidden = part.left_out_lines + len(part.diff) - len(part.diff[:left])
        left -= len(part.diff[:left])
        if hidden:
            _lines(console, [f"and {hidden:,} more lines of {part.path}; see --format json"])


def _source_line(line: str) -> str:
    """Tabs stay what they are to a reader."""
    return printable(line.removesuffix("\r").expandtabs(8))


def _some(texts: list[str], limit: int) -> list[str]:
    more = len(texts) - limit
    return [*texts[:limit], *([f"and {more:,} more"] if more > 0 else [])]

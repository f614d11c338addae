"""What the benchmarks share: interleaved repetitions, medians, ratios, tables, and the record of what was found.

Everything printed by `print_table` and `print_note`, and every `figure`, is also appended to the file that the variable
`BENCHMARK_RECORD` names, as a line of JSON: `benchmarks.results` makes RESULTS.md of it.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

Measure = Callable[[], float]


def interleaved(measures: Mapping[str, Measure], repetitions: int) -> dict[str, list[float]]:
    """Each measure once per round, in turn, so that a machine that gets slower does so for all of them."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(repetitions):
        for name, measure in measures.items():
            found[name].append(measure())
    return found


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ratios(values: Sequence[float], reference: Sequence[float]) -> list[float]:
    """The ratio of each pair of the same round."""
    return [value / base for value, base in zip(values, reference, strict=True)]


def spread(values: Sequence[float], unit: str = "", digits: int = 3) -> str:
    """Median, with the smallest and largest value where there are several."""
    low, middle, high = (number(each, digits) for each in (min(values), statistics.median(values), max(values)))
    return f"{middle}{unit} ({low} to {high})" if len(values) > 1 else f"{middle}{unit}"


def number(value: float, digits: int = 3) -> str:
    """Rounded to so many digits, never with an exponent for a large one."""
    return f"{value:.{digits}g}" if abs(value) < 10**digits - 0.5 else f"{value:,.0f}"


def figure(measure: str, who: str, values: float | Sequence[float], unit: str) -> None:
    """Hand a figure over to RESULTS.md: what was measured (a name of `benchmarks.rows`), of whom, in which unit."""
    found = [float(each) for each in ([values] if isinstance(values, int | float) else values)]
    _record("figure", measure=measure, who=who, values=found, unit=unit)


def note_versions(versions: Mapping[str, str]) -> None:
    """Which versions of others were measured."""
    _record("versions", versions=dict(versions))


def print_note(text: str) -> None:
    """A line beside the tables."""
    print(text)
    _record("note", text=text)


def _record(kind: str, **content: object) -> None:
    path = os.environ.get("BENCHMARK_RECORD")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **content}) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on the terminal, as wide as it needs to be."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    Console(width=140).print(table)
    _record("table", title=title, columns=list(columns), rows=[list(row) for row in rows])


def print_machine() -> None:
    """Where the figures come from."""
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")

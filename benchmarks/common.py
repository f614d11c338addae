"""What the benchmarks share: interleaved repetitions, medians, ratios, tables."""

from __future__ import annotations

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
    """Median, with the smallest and largest value."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}g}{unit} ({low:.{digits}g} to {high:.{digits}g})"


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on the terminal, as wide as it needs to be."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    Console(width=140).print(table)


def print_machine() -> None:
    """Where the figures come from."""
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")

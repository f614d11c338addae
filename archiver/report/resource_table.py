"""The table of what each stage of a training used, without the columns of what was never measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archiver.report.markdown import Safe, format_bytes, format_seconds
from archiver.report.resources import UseRow
from archiver.report.tables import Table, made


def use_table(rows: Sequence[UseRow]) -> Table:
    """A row per stage."""
    titles = [title for title, cell in _COLUMNS.items() if any(cell(row) is not None for row in rows)]
    if len({row.phase for row in rows}) == 1:
        titles.remove("phase")
    cells = [[_COLUMNS[title](row) for title in titles] for row in rows]
    return made(titles, "".join("l" if title == "stage" else "r" for title in titles), cells)


def _rounded(value: float | None, unit: str) -> Safe | None:
    return None if value is None else Safe(f"{value:.0f} {unit}")


_COLUMNS: dict[str, Callable[[UseRow], object]] = {
    "phase": lambda row: row.phase,
    "stage": lambda row: row.stage,
    "time": lambda row: format_seconds(row.seconds),
    "peak memory": lambda row: format_bytes(row.peak_rss_bytes),
    "CPU, mean (100 % is one core)": lambda row: _rounded(row.mean_cpu_percent, "%"),
    "GPU memory, largest": lambda row: None if row.largest_gpu_bytes is None else format_bytes(row.largest_gpu_bytes),
    "GPU, mean": lambda row: _rounded(row.mean_gpu_percent, "%"),
    "hottest sensor": lambda row: _rounded(row.largest_celsius, "°C"),
}

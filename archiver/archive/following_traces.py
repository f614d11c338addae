"""Traces while another process appends to them: of each wanted column the last value and a curve in bounded memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from archiver.errors import ArchiverError
from archiver.storage.following import LineFollower

CURVE_POINTS = 256


@dataclass
class Curve:
    """A series in bounded memory: means over stretches that become longer as it grows."""

    values: list[float | None] = field(default_factory=list)
    """The means of whole stretches, and that of the one under way; None where nothing finite was told."""
    latest: float | None = None
    largest: float | None = None
    _stride: int = 1
    _known: int = 0
    _seen: int = 0
    _sum: float = 0.0

    def add(self, value: float | None) -> None:
        """The next value; None or NaN: there is none."""
        self.latest = value
        if self._seen == 0:
            self._halve_if_full()
            self.values.append(None)
        self._seen += 1
        if value is not None and math.isfinite(value):
            self._known, self._sum = self._known + 1, self._sum + value
            self.values[-1] = self._sum / self._known
            self.largest = value if self.largest is None else max(self.largest, value)
        if self._seen == self._stride:
            self._seen = self._known = 0
            self._sum = 0.0

    def _halve_if_full(self) -> None:
        if len(self.values) < CURVE_POINTS:
            return
        pairs = zip(self.values[::2], self.values[1::2], strict=True)
        self.values = [_mean_of(*pair) for pair in pairs]
        self._stride *= 2


def _mean_of(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return one if other is None else other
    return one / 2 + other / 2


class FollowedTrace:
    """The wanted columns of one trace, the last row and the curve of each."""

    def __init__(self, folder: Path, path: str) -> None:
        self.lines = LineFollower(folder, path)
        self.columns: dict[str, Curve] = {}
        self._header: list[str] = []
        self._restarts = 0

    def read(self) -> bool:
        """Read what is new; whether there is more already."""
        try:
            lines = self.lines.read()
        except (ArchiverError, OSError):
            return False
        if self._restarts != self.lines.restarts:
            self._restarts = self.lines.restarts
            self.columns, self._header = {}, []
        for line in lines:
            self._add(line.decode("ascii", errors="replace").split(","))
        return self.lines.has_more

    def _add(self, cells: list[str]) -> None:
        if not self._header:
            self._header = cells
            self.columns = {name: Curve() for name in cells if is_wanted(name)}
        elif len(cells) == len(self._header):
            for name, cell in zip(self._header, cells, strict=True):
                if name in self.columns and cell:
                    self.columns[name].add(_number(cell))

    def latest(self, name: str) -> float | None:
        """What was measured last; None where nothing was."""
        curve = self.columns.get(name)
        return curve.latest if curve is not None else None

    def largest(self, name: str) -> float | None:
        """The largest value that was measured."""
        curve = self.columns.get(name)
        return curve.largest if curve is not None else None


_WANTED = frozenset(
    {
        "rss_bytes", "peak_rss_bytes", "anonymous_bytes", "cpu_percent", "system_cpu_percent", "cpu_celsius",
        "gpu_celsius",
    }
)  # fmt: skip
_WANTED_OF_GPUS = ("_used_bytes", "_utilisation_percent", "_celsius")


def is_wanted(column: str) -> bool:
    """Whether a column of a trace is shown."""
    if column in _WANTED:
        return True
    device, index, what = (*column.split("_", 2), "", "")[:3]
    return device == "gpu" and index.isdecimal() and len(index) <= 3 and f"_{what}" in _WANTED_OF_GPUS  # noqa: PLR2004


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None

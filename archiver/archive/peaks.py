"""The extremes of a run's telemetry, which stand in its results so that many runs can be compared by them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archiver.records.base import Unavailable
from archiver.records.results import Peaks
from archiver.records.telemetry import Telemetry


def build_peaks(telemetry: Telemetry) -> Peaks:
    """The largest values of all phases."""
    cooling = [phase.cooling for phase in telemetry.phases if not isinstance(phase.cooling, Unavailable)]
    guards = [phase.guard for phase in telemetry.phases if not isinstance(phase.guard, Unavailable)]
    targets = [target for each in cooling for target in each.targets]
    return Peaks(
        rss_bytes=telemetry.peak_rss_bytes,
        gpu_bytes=_largest(_gpu_maxima(telemetry)),
        cpu_celsius=_largest(each.highest_celsius for each in targets if each.part == "cpu"),
        gpu_celsius=_largest(each.highest_celsius for each in targets if each.part == "gpu"),
        memory_alert_count=sum(len(guard.events) for guard in guards),
        cooling_seconds=sum(each.total_seconds for each in cooling) if cooling else None,
    )


def _gpu_maxima(telemetry: Telemetry) -> Iterator[Any]:
    for phase in telemetry.phases:
        if not isinstance(phase.sampling, Unavailable):
            for use in phase.sampling.phases:
                for column in use.columns:
                    if column.column.startswith("gpu_") and column.column.endswith("_used_bytes"):
                        yield column.maximum


def _largest(values: Iterator[Any]) -> Any:
    return max((value for value in values if value is not None), default=None)

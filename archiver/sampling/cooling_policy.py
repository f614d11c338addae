"""When a training pauses to cool down."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

from archiver.errors import ArgumentError
from archiver.records.telemetry import CoolingCause
from archiver.sampling.arguments import checked_number, is_number
from archiver.sampling.thermometer import Temperatures

HIGHEST_LIMIT_CELSIUS = 125
RESUME_BELOW_LIMIT_CELSIUS = 10
PARTS: tuple[Literal["cpu"], Literal["gpu"]] = ("cpu", "gpu")


@dataclass(frozen=True)
class CoolingPolicy:
    """When to pause, and for how long.

    Args:
        cpu_limit_celsius: pause above; None: the processor may be as hot as it likes.
        gpu_limit_celsius: the same for GPUs.
        cpu_resume_celsius: go on at or below; None: 10 degrees below the limit.
        gpu_resume_celsius: the same for GPUs.
        maximal_pause_seconds: no single break is longer.
        minimal_work_seconds: no break begins earlier than that after the last one: where cooling does not help, the
            training goes on all the same.
        check_seconds: time between two looks at the sensors.

    Raises:
        ArgumentError: a limit that is not above 0 and at most 125, a resume temperature that is not below its limit, or
            a time that is not positive.
    """

    cpu_limit_celsius: float | None = 90.0
    gpu_limit_celsius: float | None = 85.0
    cpu_resume_celsius: float | None = None
    gpu_resume_celsius: float | None = None
    maximal_pause_seconds: float = 300.0
    minimal_work_seconds: float = 30.0
    check_seconds: float = 1.0

    def __post_init__(self) -> None:
        for part in PARTS:
            _check_limit(f"{part}_limit_celsius", self.limit(part))
            self._check_resume(part)
        for name in ("maximal_pause_seconds", "check_seconds"):
            _check_seconds(name, getattr(self, name), least=1e-3)
        _check_seconds("minimal_work_seconds", self.minimal_work_seconds, least=0.0)

    def _check_resume(self, part: str) -> None:
        resume, limit = getattr(self, f"{part}_resume_celsius"), self.limit(part)
        if resume is None:
            return
        if limit is None or not is_number(resume) or not 0 < resume < limit:
            below = "None, as there is no limit" if limit is None else f"more than 0, less than the limit, {limit!r}"
            raise ArgumentError(f"Received {part}_resume_celsius={resume!r}. Expected {below}.")

    def limit(self, part: str) -> float | None:
        """The limit of `"cpu"` or `"gpu"`."""
        limit: float | None = getattr(self, f"{part}_limit_celsius")
        return limit

    def resume(self, part: str) -> float | None:
        """The temperature at which work goes on, of `"cpu"` or `"gpu"`."""
        limit: float | None = self.limit(part)
        resume: float | None = getattr(self, f"{part}_resume_celsius")
        return limit - RESUME_BELOW_LIMIT_CELSIUS if resume is None and limit is not None else resume

    def too_hot(self, temperatures: Temperatures) -> CoolingCause | None:
        """What is above its limit."""
        cpu, gpu = (is_above(value, self.limit(part)) for part, value in zip(PARTS, temperatures, strict=True))
        if cpu and gpu:
            return "cpu and gpu"
        return "cpu" if cpu else "gpu" if gpu else None

    def is_cool(self, temperatures: Temperatures, cause: CoolingCause) -> bool:
        """Whether all is at or below the temperature at which work goes on; what caused the break must say so."""
        return not any(
            is_above(value, self.resume(part)) or (value is None and part in cause)
            for part, value in zip(PARTS, temperatures, strict=True)
        )


def is_above(value: float | None, limit: float | None) -> bool:
    """Whether both are known and the value is larger."""
    return value is not None and limit is not None and value > limit


def _check_limit(name: str, value: float | None) -> None:
    if value is not None and not (is_number(value) and 0 < value <= HIGHEST_LIMIT_CELSIUS):
        raise ArgumentError(
            f"Received {name}={value!r}. Expected degrees Celsius above 0, at most {HIGHEST_LIMIT_CELSIUS}, or None."
        )


def _check_seconds(name: str, value: float, least: float) -> None:
    most = threading.TIMEOUT_MAX
    checked_number(name, value, least=least, most=most, expected=f"{least:g} to {most:g} seconds")

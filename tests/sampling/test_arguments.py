"""Arguments that cannot be used are refused when a thing is made, in words that say what came and what was expected."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import archiver
from archiver.errors import ArgumentError
from archiver.sampling.gpus import GpuSampler
from archiver.sampling.guard import MemoryGuard
from archiver.sampling.memory_sources import machine_memory_bytes
from archiver.sampling.recorder import TelemetryRecorder

NO_NUMBERS = ("1", "", b"1", True, None, [1], {}, 1j, object(), float("nan"), float("inf"), -1, 10**400)
NO_FUNCTIONS = (0, "print", [print], object())
NO_FLAGS = (0, 1, "no", None)
ABOVE_THE_MACHINE = machine_memory_bytes() + (1 << 20)


def monitor(**arguments: Any) -> Any:
    return archiver.MemoryMonitor(**arguments)


def guard(**arguments: Any) -> Any:
    return MemoryGuard(**{"on_hard": print, **arguments})


def recorder(**arguments: Any) -> Any:
    return TelemetryRecorder(**{"folder": "never/made", **arguments})


WRONG: list[tuple[Callable[..., Any], str, tuple[Any, ...]]] = [
    (monitor, "cpu_threshold_mb", (*NO_NUMBERS, 0, ABOVE_THE_MACHINE / (1 << 20))),
    (monitor, "gpu_threshold_mb", (*NO_NUMBERS, 0)),
    (monitor, "auto_cleanup", NO_FLAGS),
    (monitor, "freeze", NO_FLAGS),
    (monitor, "collect_every", ("1", 0, -1, 1.0, True, float("nan"))),
    (monitor, "cleanup_pause_seconds", NO_NUMBERS),
    (monitor, "gpu_memory", NO_FUNCTIONS),
    (guard, "on_hard", (*NO_FUNCTIONS, None)),
    (guard, "on_soft", NO_FUNCTIONS),
    (guard, "hard_fraction", (*NO_NUMBERS, 0, 1, 1.5)),
    (guard, "soft_fraction", (*NO_NUMBERS, 0, 1, 1.5)),
    (guard, "hard_limit_bytes", ("1", True, 1.5, 0, -1, ABOVE_THE_MACHINE)),
    (guard, "soft_limit_bytes", ("1", True, 1.5, 0, -1, ABOVE_THE_MACHINE)),
    (guard, "poll_seconds", (*NO_NUMBERS, 0, 1.5, 60)),
    (recorder, "folder", (None, 3, b"traces", [], "")),
    (recorder, "rate_hertz", (*NO_NUMBERS, 0, 50.01, 1000)),
    (recorder, "part", ("1", True, 1.0, -1, None)),
    (recorder, "maximal_rows", (*NO_NUMBERS[:-1], 0, 10, 1e6)),
    (recorder, "origin_seconds", tuple(value for value in NO_NUMBERS if value is not None)),
    (recorder, "backend_memory", NO_FUNCTIONS),
    (recorder, "gpu_indices", (0, "0", b"0", [99], [-1], [True], [0.0], ["0"], [None], {0: 1}, object())),
    (GpuSampler, "indices", (0, "0", [99], [-1], [True], [0.0])),
    (archiver.CoolingPolicy, "cpu_limit_celsius", (*NO_NUMBERS, 0, 126, 1000)),
    (archiver.CoolingPolicy, "gpu_limit_celsius", (*NO_NUMBERS, 0, 126, 1000)),
    (archiver.CoolingPolicy, "cpu_resume_celsius", (*NO_NUMBERS, 0, 90, 91)),
    (archiver.CoolingPolicy, "gpu_resume_celsius", (*NO_NUMBERS, 0, 85, 86)),
    (archiver.CoolingPolicy, "maximal_pause_seconds", (*NO_NUMBERS, 0, 2 * threading.TIMEOUT_MAX)),
    (archiver.CoolingPolicy, "minimal_work_seconds", NO_NUMBERS),
    (archiver.CoolingPolicy, "check_seconds", (*NO_NUMBERS, 0, 1e-9, 2 * threading.TIMEOUT_MAX)),
]
MAY_BE_NONE = {"cpu_limit_celsius", "gpu_limit_celsius", "cpu_resume_celsius", "gpu_resume_celsius"}


@pytest.mark.parametrize(("make", "argument", "values"), WRONG, ids=lambda value: getattr(value, "__name__", None))
def test_each_wrong_value_is_told_as_it_came(make: Callable[..., Any], argument: str, values: tuple[Any, ...]) -> None:
    for value in values:
        if value is None and argument in MAY_BE_NONE:
            continue
        with pytest.raises(ArgumentError) as caught:
            make(**{argument: value})
        received, _, expected = str(caught.value).partition(". Expected ")
        assert received.startswith("Received ")
        assert expected
        inner = value[0] if isinstance(value, list) and argument in ("gpu_indices", "indices") else value
        assert repr(inner) in received or str(inner) in received, (value, str(caught.value))


def test_nothing_is_left_of_what_could_not_be_made(tmp_path: Path) -> None:
    running = threading.active_count()
    for make, argument, values in WRONG:
        if make is recorder and argument != "folder":
            with pytest.raises(ArgumentError):
                TelemetryRecorder(tmp_path / "traces", **{argument: values[0]})
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == running

"""Sampler of the NVIDIA GPUs, through NVML: memory, utilisation, temperature, power, clocks, reasons to slow down."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, SupportsIndex

from archiver.errors import ArgumentError
from archiver.machine.nvml import NvmlUnavailableError, open_nvml
from archiver.sampling.columns import Cell, Column


class GpuReading(NamedTuple):
    """One sample of one device. None: the device does not tell."""

    used_bytes: int | None
    process_bytes: int | None
    utilisation_percent: float | None
    memory_utilisation_percent: float | None
    power_watts: float | None
    sm_clock_hertz: float | None
    memory_clock_hertz: float | None
    throttle_reasons_bits: int | None
    celsius: float | None


_DESCRIPTIONS = (
    Column("used_bytes", "memory", "memory in use on the device, by whomever", is_key=True),
    Column("process_bytes", "memory", "memory that this process has on the device"),
    Column("utilisation_percent", "utilisation", "share of time in which a kernel ran", is_key=True),
    Column("memory_utilisation_percent", "utilisation", "share of time in which its memory was read or written"),
    Column("power_watts", "utilisation", "power drawn", is_key=True),
    Column("sm_clock_hertz", "utilisation", "clock of the processors"),
    Column("memory_clock_hertz", "utilisation", "clock of the memory"),
    Column("throttle_reasons_bits", "utilisation", "why the clocks are held down: NVML's nvmlClocksEventReasons bits"),
    Column("celsius", "temperature", "temperature of the device", is_key=True),
)
NOTHING = GpuReading(*(None,) * len(_DESCRIPTIONS))


def throttle_names(bits: int) -> tuple[str, ...]:
    """The reasons why a GPU's clocks are held down, in words."""
    return tuple(name for bit, name in _THROTTLE_REASONS.items() if bits & bit)


_THROTTLE_REASONS = {
    0x001: "idle",
    0x002: "applications clocks setting",
    0x004: "software power cap",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "software thermal slowdown",
    0x040: "hardware thermal slowdown",
    0x080: "hardware power brake slowdown",
    0x100: "display clock setting",
}


class GpuSampler:
    """The devices that the driver knows.

    Args:
        indices: which devices, as the driver counts them; None: all.

    Raises:
        ArgumentError: there is no device of such an index.
    """

    indices: tuple[int, ...]
    """The devices that are measured."""
    total_bytes: tuple[int | None, ...]
    """The memory of each."""

    def __init__(self, indices: Sequence[int] | None = None) -> None:
        self.unavailable: dict[str, str] = {}
        self._nvml: Any = None
        self._handles: dict[int, Any] = {}
        self._open(indices)
        self.columns = tuple(
            Column(f"gpu_{index}_{column.name}", column.trace, f"GPU {index}: {column.description}", column.is_key)
            for index in self.indices
            for column in _DESCRIPTIONS
        )

    def _open(self, indices: Sequence[int] | None) -> None:
        count = 0
        try:
            self._nvml = open_nvml()
            self._owner = os.getpid()
            count = self._nvml.nvmlDeviceGetCount()
        except NvmlUnavailableError as error:
            self.unavailable["gpu_..."] = str(error)
        except self._errors as error:
            self.unavailable["gpu_..."] = f"the NVIDIA driver does not answer: {error}"
            self.close()
        asked = _checked(indices, count, self.unavailable.get("gpu_..."))
        handles = {
            index: self._asked(index, "...", lambda nvml, each: nvml.nvmlDeviceGetHandleByIndex(each), index)
            for index in asked
        }
        self._handles = {index: handle for index, handle in handles.items() if handle is not None}
        self.indices = tuple(self._handles)
        self.total_bytes = tuple(
            self._asked(index, "total_bytes", lambda nvml, each: nvml.nvmlDeviceGetMemoryInfo(each).total, handle)
            for index, handle in self._handles.items()
        )

    @property
    def _errors(self) -> type[Exception]:
        error: type[Exception] = self._nvml.NVMLError
        return error

    def _asked(self, index: int, name: str, function: Callable[[Any, Any], Any], argument: Any) -> Any:
        """What the driver answers; a refusal is noted, and never asked for again."""
        key = f"gpu_{index}_{name}"
        if key in self.unavailable:
            return None
        try:
            return function(self._nvml, argument)
        except self._errors as error:
            self.unavailable[key] = str(error)
            return None

    def sample(self) -> tuple[GpuReading, ...]:
        """Measure all devices now. In a forked child there is nothing: a driver does not survive a fork."""
        if self._nvml is None or self._owner != os.getpid():
            return (NOTHING,) * len(self.indices)
        return tuple(self._device(index, handle) for index, handle in self._handles.items())

    def _device(self, index: int, handle: Any) -> GpuReading:
        return GpuReading(*(self._asked(index, name, function, handle) for name, function in _QUESTIONS.items()))

    def memory_bytes(self) -> int:
        """The memory of this process on all devices; where the driver does not divide it, all that is in use."""
        total = 0
        for own, used in zip(self._all("process_bytes"), self._all("used_bytes"), strict=True):
            total += used or 0 if own is None else own
        return total

    def celsius(self) -> list[float | None]:
        """The temperatures alone."""
        return self._all("celsius")

    def _all(self, name: str) -> list[Any]:
        if self._nvml is None or self._owner != os.getpid():
            return [None] * len(self.indices)
        return [self._asked(index, name, _QUESTIONS[name], handle) for index, handle in self._handles.items()]

    @staticmethod
    def cells(reading: tuple[GpuReading, ...]) -> tuple[Cell, ...]:
        """The reading as numbers, one for each of `columns`."""
        return tuple(cell for device in reading for cell in device)

    def close(self) -> None:
        """Let the driver go."""
        nvml, self._nvml = self._nvml, None
        if nvml is not None and self._owner == os.getpid():
            with suppress(nvml.NVMLError):
                nvml.nvmlShutdown()


def _checked(indices: Sequence[int] | None, count: int, reason: str | None) -> tuple[int, ...]:
    if indices is None:
        return tuple(range(count))
    if isinstance(indices, str | bytes | Mapping) or not isinstance(indices, Iterable):
        raise ArgumentError(f"Received gpu_indices={indices!r}. Expected a list of numbers, such as [0, 1], or None.")
    indices = tuple(indices)
    wrong = [index for index in indices if not _is_index(index) or index not in range(count)]
    if wrong:
        expected = f"0 to {count - 1}" if count else f"none: {reason or 'the driver knows no GPU'}"
        raise ArgumentError(f"Received GPU index {wrong[0]!r}. Expected {expected}.")
    return indices


def _is_index(value: object) -> bool:
    return isinstance(value, SupportsIndex) and not isinstance(value, bool)


def _process_bytes(processes: Sequence[Any]) -> int | None:
    """Of this process; None in a container that does not see the numbers of the host."""
    own = os.getpid()
    found = [each.usedGpuMemory for each in processes if each.pid == own]
    if not found:
        return None if processes else 0
    return sum(int(size) for size in found if size is not None)


_QUESTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "used_bytes": lambda nvml, device: nvml.nvmlDeviceGetMemoryInfo(device).used,
    "process_bytes": lambda nvml, device: _process_bytes(nvml.nvmlDeviceGetComputeRunningProcesses(device)),
    "utilisation_percent": lambda nvml, device: float(nvml.nvmlDeviceGetUtilizationRates(device).gpu),
    "memory_utilisation_percent": lambda nvml, device: float(nvml.nvmlDeviceGetUtilizationRates(device).memory),
    "power_watts": lambda nvml, device: nvml.nvmlDeviceGetPowerUsage(device) / 1000,
    "sm_clock_hertz": lambda nvml, device: nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_SM) * 1e6,
    "memory_clock_hertz": lambda nvml, device: nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_MEM) * 1e6,
    "throttle_reasons_bits": lambda nvml, device: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(device),
    "celsius": lambda nvml, device: float(nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU)),
}
"""In the order of `GpuReading`."""

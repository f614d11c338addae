"""The NVIDIA GPUs, asked of the driver through NVML."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from archiver.machine.nvml import NvmlUnavailableError, open_nvml
from archiver.records.base import Unavailable
from archiver.records.environment import GpuPart, GpusPart

T = TypeVar("T")


def collect_gpus() -> GpusPart | Unavailable:
    """Every GPU the driver knows, whether the training sees it or not, or why they are not known."""
    try:
        nvml = open_nvml()
    except NvmlUnavailableError as error:
        return Unavailable(unavailable=str(error))
    try:
        return _gpus(nvml)
    except nvml.NVMLError as error:
        return Unavailable(unavailable=f"the NVIDIA driver does not answer: {error}")
    finally:
        nvml.nvmlShutdown()


def _gpus(nvml: Any) -> GpusPart:
    def asked(function: Callable[[], T]) -> T | Unavailable:
        try:
            return function()
        except nvml.NVMLError as error:
            return Unavailable(unavailable=str(error))

    def cuda_version() -> str:
        number = nvml.nvmlSystemGetCudaDriverVersion_v2()
        return f"{number // 1000}.{number % 1000 // 10}"

    return GpusPart(
        driver_version=asked(lambda: _text(nvml.nvmlSystemGetDriverVersion())),
        cuda_driver_version=asked(cuda_version),
        devices=tuple(_gpu(nvml, index, asked) for index in range(nvml.nvmlDeviceGetCount())),
    )


def _gpu(nvml: Any, index: int, asked: Callable[[Callable[[], Any]], Any]) -> GpuPart:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    return GpuPart(
        index=index,
        name=_text(nvml.nvmlDeviceGetName(handle)),
        uuid=asked(lambda: _text(nvml.nvmlDeviceGetUUID(handle))),
        pci_bus_id=asked(lambda: _text(nvml.nvmlDeviceGetPciInfo(handle).busId)),
        compute_capability=asked(lambda: ".".join(map(str, nvml.nvmlDeviceGetCudaComputeCapability(handle)))),
        memory_total_bytes=asked(lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).total)),
        memory_used_bytes=asked(lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).used)),
        power_limit_watts=asked(lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000),
        maximal_frequency_hertz=asked(lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM) * 1e6),
        temperature_celsius=asked(lambda: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))),
    )


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value

"""The GPUs: NVIDIA's asked of the driver through NVML, all makes as the PCI bus lists them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from archiver.collect.attempts import text_of
from archiver.machine.nvml import NvmlUnavailableError, open_nvml
from archiver.records.base import Unavailable
from archiver.records.machine import GpuPart, GpusPart, PciDevicePart

T = TypeVar("T")

_PCI = Path("/sys/bus/pci/devices")
_PCI_CLASSES = ("0x03", "0x12")
"""Display controllers, and processing accelerators."""
_VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel", "0x1ae0": "Google", "0x1d0f": "Amazon"}


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


def collect_pci_devices(folder: Path = _PCI) -> tuple[PciDevicePart, ...] | Unavailable:
    """Display and computing devices as the kernel lists them, whether or not a driver is installed."""
    if not folder.is_dir():
        return Unavailable(unavailable="the system lists no PCI bus")
    devices = sorted(each for each in folder.iterdir() if text_of(each / "class").startswith(_PCI_CLASSES))
    return tuple(_pci_device(each) for each in devices)


def _pci_device(folder: Path) -> PciDevicePart:
    vendor = text_of(folder / "vendor")
    driver = folder / "driver"
    return PciDevicePart(
        address=folder.name,
        vendor=_VENDORS.get(vendor, vendor),
        device=text_of(folder / "device"),
        driver=os.path.basename(os.path.realpath(driver))
        if driver.exists()
        else Unavailable(unavailable="no module of the kernel drives it"),
    )


Asked = Callable[[Callable[[], Any]], Any]


def _gpus(nvml: Any) -> GpusPart:
    def asked(function: Callable[[], T]) -> T | Unavailable:
        try:
            return function()
        except nvml.NVMLError as error:
            return Unavailable(unavailable=str(error))
        except (AttributeError, TypeError, ValueError) as error:  # an older driver or binding
            return Unavailable(unavailable=f"{type(error).__name__}: {error}")

    def cuda_version() -> str:
        number = nvml.nvmlSystemGetCudaDriverVersion_v2()
        return f"{number // 1000}.{number % 1000 // 10}"

    return GpusPart(
        driver_version=asked(lambda: _text(nvml.nvmlSystemGetDriverVersion())),
        cuda_driver_version=asked(cuda_version),
        devices=tuple(_gpu(nvml, index, asked) for index in range(nvml.nvmlDeviceGetCount())),
    )


def _gpu(nvml: Any, index: int, asked: Asked) -> GpuPart:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)

    def clock(function: str, kind: str) -> Any:
        return asked(lambda: getattr(nvml, function)(handle, getattr(nvml, kind)) * 1e6)

    return GpuPart(
        index=index,
        name=_text(nvml.nvmlDeviceGetName(handle)),
        uuid=asked(lambda: _text(nvml.nvmlDeviceGetUUID(handle))),
        memory_total_bytes=asked(lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).total)),
        memory_used_bytes=asked(lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).used)),
        compute_capability=asked(lambda: ".".join(map(str, nvml.nvmlDeviceGetCudaComputeCapability(handle)))),
        multi_instance=asked(lambda: bool(nvml.nvmlDeviceGetMigMode(handle)[0])),
        error_correction=asked(lambda: bool(nvml.nvmlDeviceGetEccMode(handle)[0])),
        power_limit_watts=asked(lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000),
        power_watts=asked(lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000),
        temperature_celsius=asked(lambda: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))),
        frequency_hertz=clock("nvmlDeviceGetClockInfo", "NVML_CLOCK_SM"),
        maximal_frequency_hertz=clock("nvmlDeviceGetMaxClockInfo", "NVML_CLOCK_SM"),
        maximal_memory_frequency_hertz=clock("nvmlDeviceGetMaxClockInfo", "NVML_CLOCK_MEM"),
        slowed_down_by=asked(lambda: _slowed_down_by(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))),
        compute_mode=asked(lambda: _COMPUTE_MODES[nvml.nvmlDeviceGetComputeMode(handle)]),
        persistence_mode=asked(lambda: bool(nvml.nvmlDeviceGetPersistenceMode(handle))),
        other_processes=asked(lambda: _others(nvml.nvmlDeviceGetComputeRunningProcesses(handle))),
        pci_bus_id=asked(lambda: _text(nvml.nvmlDeviceGetPciInfo(handle).busId)),
        pci_link=asked(lambda: _pci_link(nvml, handle)),
        numa_node=asked(lambda: int(nvml.nvmlDeviceGetNumaNodeId(handle))),
        firmware=asked(lambda: _text(nvml.nvmlDeviceGetVbiosVersion(handle))),
    )


_COMPUTE_MODES = {0: "default", 1: "exclusive thread", 2: "prohibited", 3: "exclusive process"}

_SLOWING = {
    0x1: "idle", 0x2: "application clocks", 0x4: "power cap", 0x8: "hardware slowdown", 0x10: "sync boost",
    0x20: "heat", 0x40: "heat (hardware)", 0x80: "power brake", 0x100: "display clocks",
}  # fmt: skip
"""Bits of `nvmlClocksEventReason*`, as NVML's header numbers them."""


def _slowed_down_by(bits: int) -> tuple[str, ...]:
    return tuple(reason for bit, reason in _SLOWING.items() if bits & bit)


def _others(processes: Any) -> int:
    return len({process.pid for process in processes} - {os.getpid()})


def _pci_link(nvml: Any, handle: Any) -> str:
    now, largest = (
        f"{getattr(nvml, f'nvmlDeviceGet{which}PcieLinkGeneration')(handle)} "
        f"x{getattr(nvml, f'nvmlDeviceGet{which}PcieLinkWidth')(handle)}"
        for which in ("Curr", "Max")
    )
    return f"{now} of {largest}"


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value

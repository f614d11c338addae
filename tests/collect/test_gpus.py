"""GPUs: the real driver where there is one, a stand-in for NVML elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from archiver.collect import gpus
from archiver.collect.gpus import collect_gpus
from archiver.machine import nvml
from archiver.machine.nvml import may_have_gpus
from archiver.records.base import Unavailable
from archiver.records.machine import GpusPart


@pytest.mark.skipif(may_have_gpus(), reason="there is an NVIDIA driver")
def test_without_a_driver_pynvml_is_not_even_imported() -> None:
    code = "import sys; from archiver.collect.gpus import collect_gpus as c; print(c(), 'pynvml' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert output.strip() == "unavailable='no NVIDIA driver was found' False"


@pytest.mark.skipif(may_have_gpus(), reason="there is an NVIDIA driver")
def test_a_driver_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "may_have_gpus", lambda: True)
    part = collect_gpus()
    assert isinstance(part, Unavailable)
    assert "does not answer" in part.unavailable


@pytest.mark.skipif(not may_have_gpus(), reason="needs an NVIDIA driver")
def test_the_real_driver() -> None:
    part = collect_gpus()
    assert isinstance(part, GpusPart), part
    for device in part.devices:
        assert device.name
        assert isinstance(device.memory_total_bytes, int | Unavailable)
    assert GpusPart.model_validate_json(part.model_dump_json()) == part


class FakeError(Exception):
    """Stands for NVMLError."""


def fake_nvml() -> Any:
    def refuse(*arguments: Any) -> Any:
        raise FakeError("Not Supported")

    return SimpleNamespace(
        NVMLError=FakeError,
        NVML_CLOCK_SM=1,
        NVML_TEMPERATURE_GPU=0,
        nvmlSystemGetDriverVersion=lambda: b"570.86.15",
        nvmlSystemGetCudaDriverVersion_v2=lambda: 12080,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=lambda handle: "NVIDIA H200",
        nvmlDeviceGetUUID=lambda handle: "GPU-1",
        nvmlDeviceGetPciInfo=lambda handle: SimpleNamespace(busId=b"00000000:01:00.0"),
        nvmlDeviceGetCudaComputeCapability=lambda handle: (9, 0),
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=150 << 30, used=1 << 30),
        nvmlDeviceGetEnforcedPowerLimit=lambda handle: 700_000,
        nvmlDeviceGetMaxClockInfo=lambda handle, clock: 1980,
        nvmlDeviceGetTemperature=refuse,
        NVML_CLOCK_MEM=2,
        nvmlDeviceGetClockInfo=lambda handle, clock: 345,
        nvmlDeviceGetMigMode=lambda handle: [0, 0],
        nvmlDeviceGetEccMode=lambda handle: [1, 1],
        nvmlDeviceGetPowerUsage=lambda handle: 76_543,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: 0x25,
        nvmlDeviceGetComputeMode=lambda handle: 3,
        nvmlDeviceGetPersistenceMode=lambda handle: 1,
        nvmlDeviceGetComputeRunningProcesses=lambda handle: [
            SimpleNamespace(pid=pid) for pid in (os.getpid(), 1, 1, 2)
        ],
        nvmlDeviceGetCurrPcieLinkGeneration=lambda handle: 4,
        nvmlDeviceGetCurrPcieLinkWidth=lambda handle: 8,
        nvmlDeviceGetMaxPcieLinkGeneration=lambda handle: 5,
        nvmlDeviceGetMaxPcieLinkWidth=lambda handle: 16,
        nvmlDeviceGetVbiosVersion=lambda handle: "96.00.A5.00.01",
    )


def test_units_and_what_a_device_does_not_tell() -> None:
    part = gpus._gpus(fake_nvml())
    assert (part.driver_version, part.cuda_driver_version) == ("570.86.15", "12.8")
    (device,) = part.devices
    assert device.compute_capability == "9.0"
    assert device.pci_bus_id == "00000000:01:00.0"
    assert device.power_limit_watts == 700
    assert device.maximal_frequency_hertz == 1.98e9
    assert device.temperature_celsius == Unavailable(unavailable="Not Supported")
    assert (device.multi_instance, device.error_correction, device.persistence_mode) == (False, True, True)
    assert (device.power_watts, device.frequency_hertz) == (76.543, 3.45e8)
    assert device.slowed_down_by == ("idle", "power cap", "heat")
    assert device.compute_mode == "exclusive process"
    assert device.other_processes == 2
    assert (device.pci_link, device.firmware) == ("4 x8 of 5 x16", "96.00.A5.00.01")
    assert isinstance(device.numa_node, Unavailable), "an old binding has no such function"


def test_the_stand_in_has_the_names_of_the_real_one() -> None:
    import pynvml

    assert [name for name in vars(fake_nvml()) if not hasattr(pynvml, name)] == []
    assert (pynvml.NVML_CLOCK_SM, pynvml.NVML_CLOCK_MEM, pynvml.NVML_TEMPERATURE_GPU) == (1, 2, 0)
    assert gpus._SLOWING[pynvml.nvmlClocksEventReasonSwThermalSlowdown] == "heat"
    assert gpus._COMPUTE_MODES[pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS] == "exclusive process"


def test_devices_on_the_bus(tmp_path: Path) -> None:
    drivers = tmp_path / "drivers" / "amdgpu"
    drivers.mkdir(parents=True)
    for address, kind, vendor in (("0000:03:00.0", "0x038000", "0x1002"), ("0000:00:1f.2", "0x010601", "0x8086"),
                                  ("0000:01:00.0", "0x030200", "0xabcd")):  # fmt: skip
        folder = tmp_path / "devices" / address
        folder.mkdir(parents=True)
        for name, text in (("class", kind), ("vendor", vendor), ("device", "0x740c")):
            (folder / name).write_text(text + "\n")
    (tmp_path / "devices" / "0000:03:00.0" / "driver").symlink_to(drivers)
    other, amd = gpus.collect_pci_devices(tmp_path / "devices")
    assert (amd.address, amd.vendor, amd.device, amd.driver) == ("0000:03:00.0", "AMD", "0x740c", "amdgpu")
    assert other.vendor == "0xabcd"
    assert isinstance(other.driver, Unavailable)
    assert isinstance(gpus.collect_pci_devices(tmp_path / "none"), Unavailable)

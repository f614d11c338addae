"""GPUs: the real driver where there is one, a stand-in for NVML elsewhere."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from archiver.collect import gpus
from archiver.collect.gpus import collect_gpus
from archiver.machine import nvml
from archiver.machine.nvml import may_have_gpus
from archiver.records.base import Unavailable
from archiver.records.environment import GpusPart


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

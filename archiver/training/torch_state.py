"""What torch is set to, each setting read on its own."""

from __future__ import annotations

from functools import partial
from typing import Any

from archiver.records.base import Json
from archiver.records.framework import FrameworkDevicePart, TorchPart
from archiver.training.reading import known, known_setting, or_reason, setting
from archiver.training.threads import torch_threads


def torch_state() -> TorchPart:
    """Version, build, devices and settings of torch."""
    import torch

    return TorchPart(
        version=str(torch.__version__),
        cuda_version=known_setting(torch, "version.cuda"),
        hip_version=known_setting(torch, "version.hip"),
        cudnn_version=known_setting(torch, "backends.cudnn.version"),
        devices=known(lambda: torch_devices(torch)),
        build=known(lambda: str(torch.__config__.show())),
        cpu_capability=known(lambda: str(torch.backends.cpu.get_cpu_capability())),
        threads=torch_threads(torch),
        flags=torch_flags(),
    )


def torch_devices(torch: Any) -> tuple[FrameworkDevicePart, ...]:
    """The CPU and the CUDA devices."""
    cpu = FrameworkDevicePart(
        name="cpu", type="CPU", visible=True, details=None, memory_growth=True, logical_devices=None
    )
    return (cpu, *(_cuda_device(torch, index) for index in range(torch.cuda.device_count())))


def _cuda_device(torch: Any, index: int) -> FrameworkDevicePart:
    def details() -> dict[str, Any]:
        properties = torch.cuda.get_device_properties(index)
        return {
            "name": properties.name,
            "compute_capability": [properties.major, properties.minor],
            "memory_bytes": properties.total_memory,
        }

    return FrameworkDevicePart(
        name=f"cuda:{index}", type="GPU", visible=True, details=or_reason(details), memory_growth=True,
        logical_devices=None,
    )  # fmt: skip


_FLAGS = (
    "are_deterministic_algorithms_enabled", "is_deterministic_algorithms_warn_only_enabled",
    "get_float32_matmul_precision", "get_default_dtype", "backends.cudnn.enabled", "backends.cudnn.deterministic",
    "backends.cudnn.benchmark", "backends.cudnn.allow_tf32", "backends.cuda.matmul.allow_tf32",
    "backends.cuda.matmul.allow_fp16_reduced_precision_reduction", "backends.mkldnn.enabled",
    "utils.deterministic.fill_uninitialized_memory",
)  # fmt: skip


def torch_flags() -> dict[str, Json]:
    """The settings that decide bits, by torch's names."""
    import torch

    return {name: or_reason(partial(_plain_setting, torch, name)) for name in _FLAGS}


def _plain_setting(torch: Any, name: str) -> Any:
    value = setting(torch, name)
    return value if isinstance(value, bool | int | float | str) else str(value)

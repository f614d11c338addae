"""What torch is set to, each setting read on its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archiver.records.base import Json
from archiver.records.framework import FrameworkDevicePart, TorchPart
from archiver.training.reading import known, or_reason
from archiver.training.threads import torch_threads


def torch_state() -> TorchPart:
    """Version, build, devices and settings of torch."""
    import torch

    return TorchPart(
        version=str(torch.__version__),
        cuda_version=known(lambda: torch.version.cuda),
        hip_version=known(lambda: torch.version.hip),
        cudnn_version=known(lambda: torch.backends.cudnn.version()),
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


def torch_flags() -> dict[str, Json]:
    """The settings that decide bits, by torch's names."""
    import torch

    backends = torch.backends
    flags: dict[str, Callable[[], Any]] = {
        "are_deterministic_algorithms_enabled": lambda: torch.are_deterministic_algorithms_enabled(),
        "is_deterministic_algorithms_warn_only_enabled": lambda: torch.is_deterministic_algorithms_warn_only_enabled(),
        "float32_matmul_precision": lambda: torch.get_float32_matmul_precision(),
        "default_dtype": lambda: str(torch.get_default_dtype()),
        "backends.cudnn.enabled": lambda: backends.cudnn.enabled,
        "backends.cudnn.deterministic": lambda: backends.cudnn.deterministic,
        "backends.cudnn.benchmark": lambda: backends.cudnn.benchmark,
        "backends.cudnn.allow_tf32": lambda: backends.cudnn.allow_tf32,
        "backends.cuda.matmul.allow_tf32": lambda: backends.cuda.matmul.allow_tf32,
        "backends.mkldnn.enabled": lambda: backends.mkldnn.enabled,
        "utils.deterministic.fill_uninitialized_memory": lambda: torch.utils.deterministic.fill_uninitialized_memory,
    }
    return {name: or_reason(read) for name, read in flags.items()}

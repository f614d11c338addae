"""Reaching NVIDIA's driver through NVML."""

from __future__ import annotations

import ctypes
import os
from typing import Any


class NvmlUnavailableError(Exception):
    """NVML cannot be used here; the message is the reason."""


def may_have_gpus() -> bool:
    """Whether NVIDIA's driver is here; cheap. Importing pynvml takes 12 MB, so it is asked first."""
    return os.path.exists("/proc/driver/nvidia/version") or os.path.exists("/dev/nvidiactl") or _find_library()


def _find_library() -> bool:
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return os.path.exists("/usr/lib/wsl/lib/libnvidia-ml.so.1")
    return True


def open_nvml() -> Any:
    """The module pynvml, initialised; whoever has it calls `nvmlShutdown` in the end.

    Raises:
        NvmlUnavailableError: there is no driver, no nvidia-ml-py, or the driver does not answer.
    """
    if not may_have_gpus():
        raise NvmlUnavailableError("no NVIDIA driver was found")
    try:
        import pynvml
    except ImportError as error:
        raise NvmlUnavailableError(f"nvidia-ml-py cannot be imported: {error}") from error
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise NvmlUnavailableError(f"the NVIDIA driver does not answer: {error}") from error
    return pynvml

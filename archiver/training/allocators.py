"""What the backend's own allocator says of the memory of its devices; asked by the sampling thread."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial

import keras

from archiver.sampling.backend import AllocatorReading, AllocatorStatistics

Readings = Mapping[str, AllocatorReading]


def allocator_statistics() -> AllocatorStatistics:
    """The function that asks the backend in use; it raises LookupError where there is nothing to ask."""
    return partial(_ask, keras.backend.backend())


def _ask(backend: str) -> Readings:
    asked = _ALLOCATORS.get(backend)
    if asked is None or backend not in sys.modules:
        raise LookupError(f"nothing is known of an allocator of the backend {backend}")
    found = asked()
    if not found:
        raise LookupError(f"{backend} has no device whose allocator keeps count")
    return found


def _tensorflow() -> Readings:
    import tensorflow as tf

    names = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices("GPU")]
    readings = {name: tf.config.experimental.get_memory_info(name) for name in names}
    return {name: AllocatorReading(int(each["current"]), int(each["peak"])) for name, each in readings.items()}


def _torch() -> Readings:
    import torch

    if not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return {}
    cuda = torch.cuda
    return {
        f"GPU:{index}": AllocatorReading(int(cuda.memory_allocated(index)), int(cuda.max_memory_allocated(index)))
        for index in range(cuda.device_count())
    }


def _jax() -> Readings:
    import jax

    found = {}
    for device in jax.local_devices():
        statistics = device.memory_stats() if device.platform != "cpu" else None
        if statistics and "bytes_in_use" in statistics:
            current = int(statistics["bytes_in_use"])
            peak = int(statistics.get("peak_bytes_in_use", current))
            found[f"{device.platform.upper()}:{device.id}"] = AllocatorReading(current, peak)
    return found


_ALLOCATORS: dict[str, Callable[[], Readings]] = {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}

"""What JAX is set to, each setting read on its own."""

from __future__ import annotations

import os
from functools import partial
from importlib.metadata import version
from typing import Any

from archiver.records.base import Json, Unavailable
from archiver.records.framework import FrameworkDevicePart, JaxPart
from archiver.training.reading import known, or_reason

_SETTINGS = (
    "jax_enable_x64", "jax_default_matmul_precision", "jax_default_prng_impl", "jax_threefry_partitionable",
    "jax_numpy_dtype_promotion", "jax_numpy_rank_promotion", "jax_disable_jit", "jax_debug_nans", "jax_platforms",
    "jax_exec_time_optimization_effort", "jax_compilation_cache_dir",
)  # fmt: skip


def jax_state() -> JaxPart:
    """Version, devices and settings of JAX."""
    import jax

    return JaxPart(
        version=jax.__version__,
        jaxlib_version=known(_jaxlib_version),
        platform=known(lambda: str(jax.default_backend())),
        platform_version=known(lambda: str(jax.devices()[0].client.platform_version)),
        devices=known(lambda: tuple(_device(device) for device in jax.devices())),
        process_count=known(lambda: int(jax.process_count())),
        configuration=jax_settings(),
    )


def jax_settings() -> dict[str, Json]:
    """The settings that decide bits or speed; those that this version has."""
    import jax

    return {name: or_reason(partial(getattr, jax.config, name)) for name in _SETTINGS}


def _jaxlib_version() -> str:
    return version("jaxlib")


def _device(device: Any) -> FrameworkDevicePart:
    return FrameworkDevicePart(
        name=str(device),
        type=str(device.platform).upper(),
        visible=True,
        details=or_reason(lambda: {"kind": device.device_kind, "process_index": device.process_index}),
        memory_growth=Unavailable(unavailable="a setting of GPUs")
        if device.platform == "cpu"
        else known(_memory_growth),
        logical_devices=None,
    )


def _memory_growth() -> bool:
    return os.environ.get("XLA_PYTHON_CLIENT_PREALLOCATE", "true").lower() in ("false", "0")

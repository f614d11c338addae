"""What decides the bits of a training, read when it begins; nothing is drawn, set or made by reading it."""

from __future__ import annotations

import struct
from typing import Any, Literal

import keras
import numpy as np

from archiver.collect.variables import DECISIVE, variable
from archiver.records.base import Json, Unavailable
from archiver.records.determinism import DeterminismPart
from archiver.training import jax_state, tensorflow_state, torch_state
from archiver.training.capture import FitCall
from archiver.training.random_states import random_states, seeds
from archiver.training.reading import known, or_reason, setting
from archiver.training.seed_generators import seed_generator_parts
from archiver.training.threads import jax_threads, tensorflow_threads, torch_threads
from archiver.training.variation import sources_of_variation

_NO_SETTING = Unavailable(unavailable="the backend has no such setting")


def determinism(model: Any, call: FitCall) -> DeterminismPart:
    """All that decides bits in the call of `fit` that begins."""
    generators, count = seed_generator_parts(model)
    part = DeterminismPart(
        sources_of_variation=(),
        seeds=seeds(),
        random_states=random_states(),
        seed_generators=tuple(generators),
        seed_generator_count=count,
        dtype_policy=known(lambda: str(keras.config.dtype_policy().name)),
        floatx=keras.config.floatx(),
        epsilon=float(keras.config.epsilon()),
        denormals=_denormals(),
        environment={name: variable(name) for name in DECISIVE},
        **_OF_BACKENDS[keras.backend.backend()](),
    )
    return part.model_copy(update={"sources_of_variation": sources_of_variation(part, call)})


def _of_tensorflow() -> dict[str, Any]:
    import tensorflow as tf

    return {
        "op_determinism": known(tensorflow_state.op_determinism),
        "threads": tensorflow_threads(tf),
        "onednn": tensorflow_state.onednn(),
        "xla": tensorflow_state.xla(),
        "tensor_float_32": known(tensorflow_state.tensor_float_32),
        "matmul_precision": _NO_SETTING,
        "instruction_sets": _instruction_sets(),
        "backend_flags": {},
        "devices": known(lambda: _by_type(device.device_type for device in tf.config.get_visible_devices())),
    }


def _of_jax() -> dict[str, Any]:
    import jax

    settings = jax_state.jax_settings()
    return {
        "op_determinism": _NO_SETTING,
        "threads": jax_threads(),
        "onednn": _NO_SETTING,
        "xla": Unavailable(unavailable="JAX always compiles by XLA; its flags stand in the environment"),
        "tensor_float_32": Unavailable(unavailable="see matmul_precision"),
        "matmul_precision": str(settings.get("jax_default_matmul_precision") or "default of the device"),
        "instruction_sets": _instruction_sets(),
        "backend_flags": settings,
        "devices": known(lambda: _by_type(device.platform.upper() for device in jax.devices())),
    }


def _of_torch() -> dict[str, Any]:
    import torch

    flags = torch_state.torch_flags()
    return {
        "op_determinism": known(lambda: bool(torch.are_deterministic_algorithms_enabled())),
        "threads": torch_threads(torch),
        "onednn": Unavailable(unavailable="see backends.mkldnn.enabled in backend_flags"),
        "xla": _NO_SETTING,
        "tensor_float_32": known(lambda: bool(torch.backends.cuda.matmul.allow_tf32)),
        "matmul_precision": known(lambda: str(torch.get_float32_matmul_precision())),
        "instruction_sets": _instruction_sets()
        | {"torch": or_reason(lambda: setting(torch, "backends.cpu.get_cpu_capability"))},
        "backend_flags": flags,
        "devices": known(lambda: _by_type(device.type for device in torch_state.torch_devices(torch))),
    }


_OF_BACKENDS = {"tensorflow": _of_tensorflow, "jax": _of_jax, "torch": _of_torch}


def _by_type(types: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in types:
        counts[str(each)] = counts.get(str(each), 0) + 1
    return counts


def _instruction_sets() -> dict[str, Json]:
    unknown = "the backend does not tell; it chooses by the processor's flags, see environment/system.json"
    sets = {"numpy": or_reason(_of_numpy)}
    return sets if keras.backend.backend() == "torch" else sets | {keras.backend.backend(): {"unavailable": unknown}}


def _of_numpy() -> Any:
    return np.show_config(mode="dicts")["SIMD Extensions"]


def _denormals() -> Literal["kept", "flushed to zero"]:
    smallest: float = struct.unpack("<d", b"\x01" + bytes(7))[0]
    return "kept" if smallest * 1.0 > 0.0 else "flushed to zero"

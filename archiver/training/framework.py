"""What Keras and its backend are set to: devices, precision, threads, determinism."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import keras

from archiver.records.base import Json
from archiver.storage.jsonable import jsonable


def framework_state() -> Json:
    """The settings of Keras and of the backend in use, as plain JSON; what cannot be read says why."""
    backend = keras.backend.backend()
    state: dict[str, Any] = {
        "keras_version": keras.__version__,
        "backend": backend,
        "dtype_policy": keras.config.dtype_policy().name,
        "floatx": keras.config.floatx(),
        "image_data_format": keras.config.image_data_format(),
    }
    states: dict[str, Callable[[], dict[str, Any]]] = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    if backend in states:
        try:
            state[backend] = states[backend]()
        except Exception as error:  # noqa: BLE001 - a version of the backend without one of these settings
            state[backend] = {"unavailable": f"{type(error).__name__}: {error}"}
    return jsonable(state)


def _tensorflow() -> dict[str, Any]:
    import tensorflow as tf

    threading = tf.config.threading
    build = dict(tf.sysconfig.get_build_info())
    return {
        "version": tf.__version__,
        "devices": [device.name for device in tf.config.get_visible_devices()],
        "eager_functions": tf.config.functions_run_eagerly(),
        "inter_op_threads": threading.get_inter_op_parallelism_threads(),
        "intra_op_threads": threading.get_intra_op_parallelism_threads(),
        "op_determinism": bool(tf.config.experimental.is_op_determinism_enabled())
        if hasattr(tf.config.experimental, "is_op_determinism_enabled")
        else None,
        "xla_jit": str(tf.config.optimizer.get_jit()),
        "tensor_float_32": tf.config.experimental.tensor_float_32_execution_enabled(),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default of the build"),
        "build": {key: build[key] for key in sorted(build)},
    }


def _jax() -> dict[str, Any]:
    import jax

    return {
        "version": jax.__version__,
        "devices": [str(device) for device in jax.devices()],
        "x64": bool(jax.config.jax_enable_x64),
        "matmul_precision": jax.config.jax_default_matmul_precision,
    }


def _torch() -> dict[str, Any]:
    import torch

    return {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "devices": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "threads": torch.get_num_threads(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }

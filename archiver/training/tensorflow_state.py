"""What TensorFlow is set to, each setting read on its own: one that a version does not have hides no other."""

from __future__ import annotations

from typing import Any

from archiver.collect.variables import variable
from archiver.records.base import Unavailable
from archiver.records.determinism import OnednnPart, XlaPart
from archiver.records.framework import FrameworkDevicePart, TensorflowPart
from archiver.training.reading import known, or_reason
from archiver.training.threads import tensorflow_threads


def tensorflow_state() -> TensorflowPart:
    """Version, build, devices and settings of TensorFlow."""
    import tensorflow as tf

    config, experimental = tf.config, tf.config.experimental
    return TensorflowPart(
        version=tf.__version__,
        git_version=known(lambda: str(tf.version.GIT_VERSION)),
        compiler=known(lambda: str(tf.version.COMPILER_VERSION)),
        build=or_reason(lambda: dict(sorted(tf.sysconfig.get_build_info().items()))),
        compile_flags=or_reason(_compile_flags),
        devices=known(lambda: _devices(tf)),
        executing_eagerly=known(lambda: bool(tf.executing_eagerly())),
        functions_run_eagerly=known(lambda: bool(config.functions_run_eagerly())),
        soft_device_placement=known(lambda: bool(config.get_soft_device_placement())),
        synchronous_execution=known(lambda: bool(experimental.get_synchronous_execution())),
        device_policy=known(lambda: str(experimental.get_device_policy())),
        optimizer_options=or_reason(config.optimizer.get_experimental_options),
        op_determinism=known(op_determinism),
        tensor_float_32=known(tensor_float_32),
        threads=tensorflow_threads(tf),
        xla=xla(),
        onednn=onednn(),
    )


def _compile_flags() -> list[str]:
    import tensorflow as tf

    return [flag for flag in tf.sysconfig.get_compile_flags() if not flag.startswith("-I")]


def _devices(tf: Any) -> tuple[FrameworkDevicePart, ...]:
    visible = {device.name for device in tf.config.get_visible_devices()}
    return tuple(_device(tf, device, device.name in visible) for device in tf.config.list_physical_devices())


def _device(tf: Any, device: Any, visible: bool) -> FrameworkDevicePart:
    return FrameworkDevicePart(
        name=device.name,
        type=device.device_type,
        visible=visible,
        details=or_reason(lambda: tf.config.experimental.get_device_details(device)),
        memory_growth=known(lambda: bool(tf.config.experimental.get_memory_growth(device)))
        if device.device_type == "GPU"
        else Unavailable(unavailable="a setting of GPUs"),
        logical_devices=or_reason(lambda: _logical(tf, device)),
    )


def _logical(tf: Any, device: Any) -> list[dict[str, Any]] | None:
    parts = tf.config.get_logical_device_configuration(device)
    return None if parts is None else [_logical_part(part) for part in parts]


def _logical_part(part: Any) -> dict[str, Any]:
    limit = part.memory_limit  # in units of 2**20 bytes
    return {"memory_limit_bytes": None if limit is None else int(limit * 2**20)}


def op_determinism() -> bool:
    """Whether operations were made deterministic; TensorFlow has a public way to switch it on, but none to ask."""
    from tensorflow.python.framework.config import is_op_determinism_enabled

    return bool(is_op_determinism_enabled())


def tensor_float_32() -> bool:
    """Whether GPUs may use TensorFloat-32."""
    import tensorflow as tf

    return bool(tf.config.experimental.tensor_float_32_execution_enabled())


def onednn() -> OnednnPart:
    """oneDNN as this build, this processor and the environment have it."""
    return OnednnPart(enabled=known(_onednn_enabled), variable=variable("TF_ENABLE_ONEDNN_OPTS"))


def _onednn_enabled() -> bool:
    from tensorflow.python.util import _pywrap_util_port

    return bool(_pywrap_util_port.IsMklEnabled())


def xla() -> XlaPart:
    """XLA as this build and the settings have it."""
    import tensorflow as tf

    return XlaPart(
        built_with=known(_built_with_xla),
        auto_clustering=known(lambda: str(tf.config.optimizer.get_jit())),
        flags=variable("XLA_FLAGS"),
    )


def _built_with_xla() -> bool:
    from tensorflow.python.util import _pywrap_util_port

    return bool(_pywrap_util_port.IsBuiltWithXLA())

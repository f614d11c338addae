"""The settings of Keras and TensorFlow, each against the one who knows."""

import keras
import pytest
import tensorflow as tf

from archiver.records.base import Unavailable
from archiver.records.framework import FrameworkPart
from archiver.training.framework import framework_state
from archiver.training.reading import known_setting


@pytest.fixture(scope="module")
def state():
    return framework_state()


def test_versions_and_build(state):
    assert (state.keras_version, state.backend) == (keras.__version__, "tensorflow")
    assert state.tensorflow.version == tf.__version__ == state.loaded["tensorflow"]
    assert state.tensorflow.git_version == tf.version.GIT_VERSION
    assert state.tensorflow.build == dict(tf.sysconfig.get_build_info())
    assert not any(flag.startswith("-I") for flag in state.tensorflow.compile_flags)
    assert (state.jax, state.torch) == (None, None), "not the backend in use"


def test_devices_and_settings(state):
    found = state.tensorflow
    assert [device.name for device in found.devices] == [device.name for device in tf.config.list_physical_devices()]
    assert all(device.visible for device in found.devices)
    assert found.soft_device_placement is tf.config.get_soft_device_placement()
    assert found.executing_eagerly is True
    assert found.functions_run_eagerly is tf.config.functions_run_eagerly()
    assert found.optimizer_options == tf.config.optimizer.get_experimental_options()
    assert found.op_determinism is False
    assert found.xla.built_with is True
    assert state.keras.image_data_format == keras.config.image_data_format()
    assert state.keras.epsilon == keras.config.epsilon()


def test_mixed_precision_is_seen():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert framework_state().keras.dtype_policy == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")


def test_a_setting_that_cannot_be_read_hides_no_other(monkeypatch):
    def refuse(*arguments):
        raise RuntimeError("not today")

    monkeypatch.setattr(tf.config, "get_soft_device_placement", refuse)
    monkeypatch.setattr(tf.config, "get_visible_devices", refuse)
    found = framework_state().tensorflow
    assert found.soft_device_placement == Unavailable(unavailable="RuntimeError: not today")
    assert found.devices == Unavailable(unavailable="RuntimeError: not today")
    assert found.version == tf.__version__
    assert found.tensor_float_32 is True
    assert known_setting(keras.config, "of_a_later_version").unavailable.startswith("AttributeError")


def test_it_survives_the_way_through_json(state):
    assert FrameworkPart.model_validate_json(state.model_dump_json()) == state

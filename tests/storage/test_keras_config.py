"""The configuration of `.keras` files: read in bounded memory, searched for code, never run."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

from archiver.errors import ArchiverError, DamagedFileError, UnsafeFileError
from archiver.storage import keras_config
from archiver.storage.keras_config import find_code, parse_config, read_keras_config
from tests.storage.hostile import pack, with_config

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


@keras.saving.register_keras_serializable(package="mine")
class Registered(layers.Layer):
    """A user's layer that Keras knows by name."""

    def call(self, inputs: Any) -> Any:
        return inputs


class Unregistered(Registered):
    """A user's layer that Keras does not know."""


@keras.saving.register_keras_serializable(package="mine")
def squared(value: Any) -> Any:
    """A user's activation."""
    return value * value


def saved(folder: Path, *added: layers.Layer) -> Any:
    """The configuration of a saved model with these layers in it."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(3, "relu", kernel_regularizer="l2"), *added])
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    model.compile(keras.optimizers.Adam(schedule), keras.losses.mean_squared_error, metrics=["mae"])
    model.save(folder / "m.keras")
    return read_keras_config(folder / "m.keras")


def test_the_config_is_what_keras_wrote(tmp_path: Path) -> None:
    config = saved(tmp_path)
    assert config["class_name"] == "Sequential"
    assert [layer["class_name"] for layer in config["config"]["layers"]] == ["InputLayer", "Dense"]
    assert find_code(config) == []


def test_layers_of_keras_need_no_trust(tmp_path: Path) -> None:
    nested = keras.Sequential([keras.Input((3,)), layers.Dense(3, keras.activations.gelu), layers.Dropout(0.1)])
    assert find_code(saved(tmp_path, nested, layers.BatchNormalization(), layers.Activation(keras.ops.tanh))) == []


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (lambda: layers.Lambda(lambda value: value, name="twice"), ["Lambda 'twice'", "__lambda__"]),
        (Registered, [f"{__name__}.Registered"]),
        (Unregistered, [f"{__name__}.Unregistered"]),
        (lambda: layers.Dense(3, squared), ["registered function mine>squared"]),
    ],
    ids=["lambda", "registered", "unregistered", "function"],
)
def test_code_of_the_user_is_named(tmp_path: Path, layer: Any, expected: list[str]) -> None:
    assert find_code(saved(tmp_path, layer())) == expected


HOSTILE_OBJECTS: dict[str, tuple[dict[str, Any], str]] = {
    "module": ({"module": "os", "class_name": "system"}, "os.system"),
    "builtin": ({"module": "builtins", "class_name": "eval"}, "builtins.eval"),
    "function": ({"module": "os", "class_name": "function", "config": "system"}, "os.system"),
    "download": ({"module": "keras.utils", "class_name": "get_file"}, "keras.utils.get_file"),
    "switch": (
        {"module": "keras.config", "class_name": "function", "config": "enable_unsafe_deserialization"},
        "keras.config.enable_unsafe_deserialization",
    ),
    "look-alike": ({"module": "keras_evil.layers", "class_name": "Dense"}, "keras_evil.layers.Dense"),
    "saved model": ({"module": "keras.layers", "class_name": "TFSMLayer", "config": {}}, "TFSMLayer"),
    "old lambda": ({"class_name": "Lambda", "config": {"function": ["4wEA"]}}, "Lambda"),
    "lambda": ({"class_name": "__lambda__", "config": {"value": "4wEA"}}, "__lambda__"),
    "name of main": ({"module": None, "class_name": "X", "registered_name": "X"}, "registered class X"),
    "old registered": ({"class_name": "mine>X", "config": {}}, "registered class mine>X"),
    "list as class": ({"class_name": ["Lambda"]}, "an object whose class or module is no text"),
    "number as module": ({"class_name": "X", "module": 1}, "an object whose class or module is no text"),
    "function of none": ({"class_name": "function", "config": {}}, "a function whose name is no text"),
}


@pytest.mark.parametrize("name", HOSTILE_OBJECTS)
def test_hostile_objects_are_named_wherever_they_are(name: str) -> None:
    item, expected = HOSTILE_OBJECTS[name]
    hidden = {"class_name": "Dense", "module": "keras.layers", "config": {"a": [[{"b": {"c": item}}]], "d": item}}
    assert find_code(hidden) == [expected]


def test_findings_are_bounded() -> None:
    found = find_code([{"class_name": f"X{index}", "module": "m" * 10_000} for index in range(1000)])
    assert len(found) == keras_config.MAXIMAL_FINDINGS + 1
    assert found[-1] == "and more"
    assert max(map(len, found)) < 500


REFUSED: dict[str, tuple[bytes, type[ArchiverError], str]] = {
    "nested": (b"[" * 100_000, UnsafeFileError, "nested too deep"),
    "nested and closed": (b"[" * 500 + b"]" * 500, UnsafeFileError, "nested too deep. Received more than 400 levels"),
    "nested objects": (b'{"a":' * 500 + b"1" + b"}" * 500, UnsafeFileError, "nested too deep"),
    "values": (b"[" + b"1," * 2_000_001 + b"1]", UnsafeFileError, "too many values"),
    "large": (
        b" " * ((64 << 20) + 1),
        UnsafeFileError,
        "too large. Received 67108865 bytes. Expected at most 67108864",
    ),
    "no JSON": (b"import os", DamagedFileError, "it is no JSON"),
    "empty": (b"", DamagedFileError, "it is no JSON"),
    "no text": (b'"\xff\xfe\xfd"', DamagedFileError, "it is no JSON"),
    "long number": (b"9" * 10_000, DamagedFileError, "it is no JSON"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_config_that_is_refused(tmp_path: Path, name: str) -> None:
    data, error, message = REFUSED[name]
    with pytest.raises(error, match=message) as caught:
        read_keras_config(with_config(tmp_path / "m.keras", data))
    assert str(caught.value).startswith(f"{tmp_path}/m.keras: ")


def test_a_smaller_limit(tmp_path: Path) -> None:
    path = with_config(tmp_path / "m.keras", {"class_name": "Sequential"})
    assert read_keras_config(path, maximal_bytes=28) == {"class_name": "Sequential"}
    with pytest.raises(UnsafeFileError, match="Received 28 bytes"):
        read_keras_config(path, maximal_bytes=27)


def test_no_config(tmp_path: Path) -> None:
    pack(tmp_path / "m.keras", [("metadata.json", b"{}")])
    with pytest.raises(DamagedFileError, match=r"no member 'config\.json'"):
        read_keras_config(tmp_path / "m.keras")


def test_as_deep_as_allowed() -> None:
    depth = keras_config.MAXIMAL_CONFIG_DEPTH
    assert parse_config(b"[" * depth + b"]" * depth, "x")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["class_name", "module", "config", "registered_name", "x"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_any_json_is_read_and_searched(value: Any) -> None:
    config = parse_config(json.dumps(value).encode(), "x")
    assert config == value
    assert all(isinstance(found, str) for found in find_code(config))


@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_an_error(data: bytes) -> None:
    with contextlib.suppress(UnsafeFileError, DamagedFileError):
        parse_config(data, "x")


def test_an_open_file_is_left_open() -> None:
    file = io.BytesIO()
    with_config(file, {})  # type: ignore[arg-type]
    assert read_keras_config(file, where="models/m.keras") == {}
    assert not file.closed

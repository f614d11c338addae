"""Tensors of files that Keras wrote, against the live model; and of other files, against what h5py reads."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import layers

from archiver.storage.beneath import open_beneath, opened_folder
from archiver.storage.tensors import open_tensors

# Keras while it saves, with TensorFlow 2.21 and NumPy 2.4
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

FORMATS = ["keras", "h5", "weights.h5"]
DTYPES = ["float32", "bfloat16", "float16"]


def model_of(dtype: str) -> keras.Model:
    """A small trained model: a recurrent layer, a nested model, and variables that are not trained."""
    keras.utils.set_random_seed(1)
    dense = [layers.Dense(5, dtype=dtype), layers.BatchNormalization(dtype=dtype)]
    nested = keras.Sequential([keras.Input((6,)), *dense], name="nested")
    inputs = keras.Input((4, 3))
    recurrent = layers.LSTM(6, dtype=dtype, recurrent_initializer="glorot_uniform", name="recurrent")
    outputs = layers.Dense(2, name="last", dtype=dtype)(nested(recurrent(inputs)))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "mse")
    for variable in model.weights:
        variable.assign(np.random.default_rng(2).normal(size=variable.shape).astype("f4"))
    return model


@pytest.fixture(scope="module", params=DTYPES)
def model(request: pytest.FixtureRequest) -> keras.Model:
    return model_of(request.param)


@pytest.fixture(scope="module")
def folder(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    model.save(folder / "m.keras")
    model.save(folder / "m.h5")
    model.save_weights(folder / "m.weights.h5")
    return folder


def digest(array: Any) -> str:
    return hashlib.sha256(np.asarray(array).tobytes()).hexdigest()


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_file_holds_the_weights_of_the_model(model: keras.Model, folder: Path, file_format: str) -> None:
    with open_tensors(folder / f"m.{file_format}", file_format) as tensors:
        received = {location: tensors.digest(location) for location in tensors.entries if "optimizer" not in location}
    assert sorted(received.values()) == sorted(digest(variable.numpy()) for variable in model.weights)


@pytest.mark.parametrize("file_format", FORMATS)
def test_locations(model: keras.Model, folder: Path, file_format: str) -> None:
    location = "model_weights/last/last/kernel" if file_format == "h5" else "layers/dense/vars/0"
    kernel = model.get_layer("last").kernel.numpy()
    with open_tensors(folder / f"m.{file_format}", file_format) as tensors:
        entry = tensors.entries[location]
        assert tensors.digest(location) == digest(kernel)
        assert list(tensors.entries) == sorted(tensors.entries)
    assert entry.shape == kernel.shape == (5, 2)
    assert entry.dtype == ("void16" if kernel.dtype.name == "bfloat16" else kernel.dtype.name)
    assert entry.size_bytes == kernel.nbytes


def test_a_file_opened_safely(folder: Path) -> None:
    with opened_folder(folder) as root, os.fdopen(open_beneath(root, "m.keras"), "rb", buffering=0) as file:
        with open_tensors(file, "keras") as tensors:
            safely = {location: tensors.digest(location) for location in tensors.entries}
        assert not file.closed
    with open_tensors(folder / "m.keras", "keras") as tensors:
        assert safely == {location: tensors.digest(location) for location in tensors.entries}


# Everything else, against h5py


def as_h5py_reads(file: h5py.File) -> dict[str, tuple[str, tuple[int, ...], str]]:
    """Type, shape and digest of every dataset."""
    found: dict[str, tuple[str, tuple[int, ...], str]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            array = np.empty(item.shape, item.dtype)
            if array.size:
                item.read_direct(array, np.s_[...], np.s_[...])
            found[name] = item.dtype.name, item.shape, digest(array.astype(array.dtype.newbyteorder("<")))

    file.visititems(visit)
    return found


def assert_read_like_h5py(write: Callable[[h5py.File], None]) -> None:
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        write(file)
    with h5py.File(data) as file:
        expected = as_h5py_reads(file)
    with open_tensors(data, "h5") as tensors:
        received = {
            location: (entry.dtype, entry.shape, tensors.digest(location))
            for location, entry in tensors.entries.items()
        }
    assert received == expected


numbers = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?"),
    hnp.complex_number_dtypes(endianness="<"),
    hnp.byte_string_dtypes(min_len=1, max_len=9),
    st.sampled_from(["V2", "V1", "V7"]).map(np.dtype),
)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


@st.composite
def arrays(draw: st.DrawFn, array_shapes: st.SearchStrategy[tuple[int, ...]] = shapes) -> np.ndarray[Any, Any]:
    dtype, shape = draw(numbers), draw(array_shapes)
    size = int(np.prod(shape)) * dtype.itemsize
    values = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 2 if dtype.kind == "b" else 256, size, "u1")
    return values.view(dtype).reshape(shape) if size else np.zeros(shape, dtype)


paths = st.lists(st.sampled_from(["vars", "0", "a:0", "a b", "a.b-c", "L"]), min_size=1, max_size=3).map("/".join)


@given(st.dictionaries(paths, arrays(), max_size=9))
def test_plain_datasets(tensors: dict[str, np.ndarray[Any, Any]]) -> None:
    def write(file: h5py.File) -> None:
        for name, array in tensors.items():
            if not any(other.startswith(f"{name}/") for other in tensors):
                file[name] = array

    assert_read_like_h5py(write)


def test_names_beyond_ascii() -> None:
    def write(file: h5py.File) -> None:
        for index in range(4):
            file[f"größe {index}/ядро"], file[f"größe {index}/bias"] = np.arange(index), np.ones(())

    assert_read_like_h5py(write)


@given(arrays(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=9)), st.data())
def test_chunked_datasets(array: np.ndarray[Any, Any], data: st.DataObject) -> None:
    chunks = data.draw(st.tuples(*(st.integers(1, max(1, size + 1)) for size in array.shape)))
    options = {"compression": data.draw(st.sampled_from([None, 1, 9])), "shuffle": data.draw(st.booleans())}

    def write(file: h5py.File) -> None:
        maxshape = tuple(max(size, chunk) for size, chunk in zip(array.shape, chunks, strict=True))
        file.create_dataset("x", data=array, chunks=chunks, maxshape=maxshape, **options)

    assert_read_like_h5py(write)


def test_compact_datasets() -> None:
    def write(file: h5py.File) -> None:
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((4,))
        made = h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32BE, space, creation)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(4, dtype="f4"))

    assert_read_like_h5py(write)


def test_many_tensors_and_large_chunk_trees() -> None:
    def write(file: h5py.File) -> None:
        for index in range(2000):
            file[f"vars/{index}"] = np.float32(index)
        file.create_dataset("x", data=np.arange(3000, dtype=">i4"), chunks=(2,))
        file["odd"] = np.arange(300_007, dtype=">f8")
        file["attributes"] = 1
        for index in range(7):
            file["attributes"].attrs[f"name {index}"] = np.bytes_(b"x" * 8000)

    assert_read_like_h5py(write)

"""Arrays written to `.npz` come back bit by bit, whatever their type, order and shape."""

from __future__ import annotations

import gc
import hashlib
import io
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from archiver.errors import ArgumentError, DamagedFileError, MissingExtraError, UnsafePathError
from archiver.storage.npz import read_npz_array, write_npz
from archiver.storage.tensors import open_tensors

FOREIGN = ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3b11fnuz", "int4", "uint4"]

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)

plain_arrays = hnp.arrays(
    st.one_of(
        hnp.boolean_dtypes(),
        hnp.integer_dtypes(endianness="?"),
        hnp.unsigned_integer_dtypes(endianness="?"),
        hnp.floating_dtypes(endianness="?"),
        hnp.complex_number_dtypes(endianness="?"),
        hnp.unicode_string_dtypes(endianness="?", max_len=5),
        hnp.byte_string_dtypes(max_len=5),
        hnp.datetime64_dtypes(endianness="?"),
        hnp.timedelta64_dtypes(endianness="?"),
    ),
    shapes,
)


@st.composite
def foreign_arrays(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    dtype = np.dtype(getattr(ml_dtypes, draw(st.sampled_from(FOREIGN))))
    return draw(hnp.arrays(f"u{dtype.itemsize}", shapes)).view(dtype)


@st.composite
def arranged_arrays(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """Arrays in C order, in Fortran order, and views with gaps or backwards."""
    array = draw(plain_arrays | foreign_arrays())
    way = draw(st.sampled_from(["C", "F", "transposed", "backwards"]))
    if way == "transposed":
        return array.T
    return array[::-1] if way == "backwards" and array.ndim else np.asarray(array, order="F" if way == "F" else "C")


def little_endian_bytes(array: np.ndarray[Any, Any]) -> bytes:
    if array.dtype.isbuiltin == 2:
        return array.tobytes()
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def written(**arrays: np.ndarray[Any, Any]) -> io.BytesIO:
    file = io.BytesIO()
    write_npz(file, arrays.items())
    return file


@given(arranged_arrays())
def test_round_trip(array: np.ndarray[Any, Any]) -> None:
    file = io.BytesIO()
    table = write_npz(file, [("a/0", array)])["a/0"]
    again = read_npz_array(file, "a/0", table.dtype)
    assert (again.shape, again.dtype.name) == (array.shape, array.dtype.name) == (table.shape, table.dtype)
    assert again.tobytes() == little_endian_bytes(array)
    assert table.sha256 == hashlib.sha256(little_endian_bytes(array)).hexdigest()
    with open_tensors(file, "npz") as tensors:
        entry = tensors.entries["a/0"]
        assert (entry.dtype, entry.shape) == (table.stored_dtype, array.shape)
        assert tensors.digest("a/0") == table.sha256


@given(plain_arrays)
def test_numpy_reads_it(array: np.ndarray[Any, Any]) -> None:
    file = written(a=array)
    file.seek(0)
    again = np.load(file, allow_pickle=False)["a"]
    assert (again.shape, again.tobytes()) == (array.shape, little_endian_bytes(array))


@given(arranged_arrays(), st.booleans())
def test_what_numpy_writes_is_read(array: np.ndarray[Any, Any], compressed: bool) -> None:
    if array.dtype.isbuiltin == 2:
        array = array.view(f"u{array.dtype.itemsize}")
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, a=array, allow_pickle=False)
    assert read_npz_array(file, "a").tobytes() == array.tobytes()
    with open_tensors(file, "npz") as tensors:
        assert tensors.digest("a") == hashlib.sha256(little_endian_bytes(array)).hexdigest()


@given(arranged_arrays())
def test_equal_arrays_give_equal_bytes(array: np.ndarray[Any, Any]) -> None:
    copy = np.array(array, order="F")
    assert written(a=array, b=array).getvalue() == written(a=copy, b=copy).getvalue()


def test_the_bytes_are_the_same_everywhere_and_always() -> None:
    data = written(a=np.arange(3, dtype=">i2")).getvalue()
    assert hashlib.sha256(data).hexdigest() == "2b523b1a9f442b11a20276f5233aba6b18dd13dbed4f6735f89abe80ca814323"


def test_a_path_is_written_and_read(tmp_path: Path) -> None:
    table = write_npz(tmp_path / "x.npz", [("w", np.ones(3, ml_dtypes.bfloat16)), ("v", np.zeros(2, "V2"))])
    assert [(each.dtype, each.stored_dtype) for each in table.values()] == [
        ("bfloat16", "uint16"),
        ("void16", "uint16"),
    ]
    assert read_npz_array(tmp_path / "x.npz", "w", "bfloat16").astype(float).tolist() == [1, 1, 1]
    assert read_npz_array(tmp_path / "x.npz", "w").dtype == np.uint16
    assert read_npz_array(tmp_path / "x.npz", "v", "void16").dtype == np.dtype("V2")


def test_one_array_at_a_time() -> None:
    made: list[weakref.ref[np.ndarray[Any, Any]]] = []

    def arrays() -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
        for index in range(5):
            gc.collect()
            assert not any(each() is not None for each in made)
            array = np.full(1000, index)
            made.append(weakref.ref(array))
            yield str(index), array
            del array

    assert len(write_npz(io.BytesIO(), arrays())) == 5


@pytest.mark.parametrize(
    "array",
    [np.array([object()]), np.zeros(2, "f4,f4"), np.zeros(2, "V3"), np.zeros(2, "V16")],
    ids=["objects", "records", "3 bytes", "16 bytes"],
)
def test_what_cannot_be_stored_is_named(array: np.ndarray[Any, Any]) -> None:
    with pytest.raises(ArgumentError, match="'bad'"):
        write_npz(io.BytesIO(), [("good", np.zeros(1)), ("bad", array)])


def test_a_name_twice() -> None:
    with pytest.raises(ArgumentError, match="two arrays named 'a'"):
        write_npz(io.BytesIO(), [("a", np.zeros(1))] * 2)


@pytest.mark.parametrize("name", ["../a", "/a", "a\\b", ""])
def test_an_unsafe_name(name: str) -> None:
    with pytest.raises(UnsafePathError):
        write_npz(io.BytesIO(), [(name, np.zeros(1))])


@pytest.mark.parametrize("dtype", ["float32", "O", "__name__", "finfo", "bfloat16", "void8", "no_such"])
def test_a_type_that_does_not_fit(dtype: str) -> None:
    with pytest.raises(ArgumentError, match=f"Received dtype='{dtype}' for an array stored as uint32"):
        read_npz_array(written(a=np.zeros(3, "u4")), "a", dtype)
    with pytest.raises(ArgumentError, match="stored as float16"):
        read_npz_array(written(a=np.zeros(3, "f2")), "a", "bfloat16")


def test_without_ml_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(MissingExtraError, match="pip install ml_dtypes"):
        read_npz_array(written(a=np.zeros(3, "u2")), "a", "bfloat16")


def test_an_array_that_is_not_there() -> None:
    with pytest.raises(DamagedFileError, match="no tensor at 'b'; the file holds 1 tensors"):
        read_npz_array(written(a=np.zeros(1)), "b")

"""Files of strangers: each gives the error it must give, soon and in little memory, and nothing of it is run."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from archiver.errors import ArgumentError, DamagedFileError, StorageError, UnsafeFileError
from archiver.storage import guards, hdf5, hdf5_chunks, hdf5_format, npz_tensors, zips
from archiver.storage.keras_config import find_code, read_keras_config
from archiver.storage.npz import read_npz_array, write_npz
from archiver.storage.tensors import open_tensors
from tests.storage.hostile import HOSTILE, Hostile, h5, npy, npy_header, pack

MAXIMAL_SECONDS = 5
MAXIMAL_BYTES = 32 << 20


def read_all(source: Path | io.BytesIO, file_format: str) -> dict[str, str]:
    with open_tensors(source, file_format) as tensors:
        return {location: tensors.digest(location) for location in tensors.entries}


@pytest.fixture
def sparing() -> Iterator[None]:
    """The test may take only so much time and memory."""
    tracemalloc.start()
    begin = time.process_time()
    try:
        yield
        assert time.process_time() - begin < MAXIMAL_SECONDS
        assert tracemalloc.get_traced_memory()[1] < MAXIMAL_BYTES
    finally:
        tracemalloc.stop()


@pytest.fixture
def path(hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"{hostile.name}.{hostile.suffix}"
    hostile.write(path)
    return path


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_a_hostile_file_gives_its_error(hostile: Hostile, path: Path, sparing: None) -> None:
    with pytest.raises((UnsafeFileError, DamagedFileError), match=hostile.message) as caught:
        read_all(path, hostile.suffix)
    assert isinstance(caught.value, hostile.error)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 2000
    assert "\n" not in str(caught.value)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_there_are_many() -> None:
    assert len(HOSTILE) >= 25
    assert {hostile.error for hostile in HOSTILE} == {UnsafeFileError, DamagedFileError}


# Limits that are too far to be reached for real


def test_too_many_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5(tmp_path / "x.h5") as file:
        for index in range(10):
            file[f"group/{index}"] = 1
    monkeypatch.setattr(hdf5, "MAXIMAL_OBJECTS", 13)
    assert len(read_all(tmp_path / "x.h5", "h5")) == 11
    monkeypatch.setattr(hdf5, "MAXIMAL_OBJECTS", 12)
    with pytest.raises(UnsafeFileError, match="too many objects"):
        read_all(tmp_path / "x.h5", "h5")


def test_too_many_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5(tmp_path / "x.h5") as file:
        for name in "ab":
            file.create_dataset(name, data=np.ones(10), chunks=(2,))
    monkeypatch.setattr(hdf5_chunks, "MAXIMAL_CHUNKS", 10)
    assert len(read_all(tmp_path / "x.h5", "h5")) == 3
    for limit in (9, 4):
        monkeypatch.setattr(hdf5_chunks, "MAXIMAL_CHUNKS", limit)
        with pytest.raises(UnsafeFileError, match="too many chunks"):
            read_all(tmp_path / "x.h5", "h5")


def test_a_large_object_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5(tmp_path / "x.h5") as file:
        for index in range(5):
            file["good"].attrs[f"{index}"] = np.bytes_(b"x" * 1000)
    monkeypatch.setattr(hdf5_format, "MAXIMAL_PIECE_BYTES", 1000)
    with pytest.raises(UnsafeFileError, match="part of its structure is too large"):
        read_all(tmp_path / "x.h5", "h5")


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_npz(tmp_path / "x.npz", [("a", np.ones(3)), ("b", np.ones(3))])
    monkeypatch.setattr(zips, "MAXIMAL_MEMBERS", 1)
    with pytest.raises(UnsafeFileError, match=r"too many members\. Received 2\. Expected at most 1"):
        read_all(tmp_path / "x.npz", "npz")


def test_a_long_list_of_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(tmp_path / "x.npz", [(f"{index:0200}.npy", b"") for index in range(10)])
    monkeypatch.setattr(zips, "MAXIMAL_DIRECTORY_BYTES", 2000)
    with pytest.raises(UnsafeFileError, match="list of members is too large"):
        read_all(tmp_path / "x.npz", "npz")


def test_a_large_array_in_fortran_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(tmp_path / "x.npz", [("a.npy", npy(np.asfortranarray(np.ones((30, 30)))))])
    monkeypatch.setattr(npz_tensors, "MAXIMAL_LOADED_BYTES", 7000)
    with pytest.raises(UnsafeFileError, match=r"is too large\. Received 7200 bytes\. Expected at most 7000"):
        read_all(tmp_path / "x.npz", "npz")


def test_many_small_bombs_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "FREE_BYTES", 1 << 20)
    monkeypatch.setattr(guards, "MAXIMAL_GROWTH", 100)
    pack(tmp_path / "x.npz", [(f"{i}.npy", npy(np.zeros(1 << 19))) for i in range(3)], zipfile.ZIP_DEFLATED)
    with pytest.raises(UnsafeFileError, match="far more than is stored"):
        read_all(tmp_path / "x.npz", "npz")
    with h5(tmp_path / "x.h5") as file:
        for index in range(3):
            file.create_dataset(f"{index}", data=np.zeros(1 << 17), compression="gzip")
    with pytest.raises(UnsafeFileError, match="tensors are far larger than the file"):
        read_all(tmp_path / "x.h5", "h5")


# Large files


def test_a_large_tensor_is_read_in_blocks(tmp_path: Path, sparing: None) -> None:
    path, count = tmp_path / "x.h5", 64 << 20
    with h5py.File(path, "w") as file:
        file.create_dataset("x", shape=(count,), dtype="u1")[-1] = 1  # a sparse file
    assert read_all(path, "h5")["x"] == read_all(npz_of(tmp_path, count), "npz")["x"]


def npz_of(folder: Path, count: int) -> Path:
    header = npy_header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count},), }}\n")
    with zipfile.ZipFile(folder / "x.npz", "w") as archive, archive.open("x.npy", "w") as member:
        member.write(header)
        for _ in range(count >> 20):
            member.write(bytes(1 << 20)) if _ < (count >> 20) - 1 else member.write(bytes((1 << 20) - 1) + b"\1")
    return folder / "x.npz"


def test_a_packed_dataset_is_read_in_bands(tmp_path: Path, sparing: None) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", shape=(4096, 8192), dtype="u2", chunks=(64, 8192), compression=1, fillvalue=1)[:] = 0
    assert len(read_all(tmp_path / "x.h5", "h5")) == 1


# Changed bytes


def good_files() -> dict[str, tuple[str, bytes]]:
    """Small files of every format, by name: format and bytes."""
    random = np.random.default_rng(0)
    weights, packed, arrays, plain, archive = (io.BytesIO() for _ in range(5))
    with h5py.File(weights, "w") as file:
        for index in range(6):
            file[f"layers/dense_{index}/vars/0"] = random.random((3, 4), dtype="f4")
            file[f"layers/dense_{index}/vars/1"] = random.random(4, dtype="f4").astype("f2")
        file["seed"], file["flag"], file["big"] = np.uint32(7), True, np.arange(5, dtype=">i8")
    with h5py.File(packed, "w") as file:
        data = random.integers(0, 9, (20, 30))
        file.create_dataset("x", data=data, chunks=(7, 8), compression="gzip", shuffle=True)
        file.create_dataset("y", data=data, chunks=(20, 4))
    write_npz(
        plain, [("model/0", random.random((3, 4))), ("b", np.asfortranarray(np.ones((2, 2)))), ("c", np.ones(()))]
    )
    np.savez_compressed(arrays, a=random.random((9, 9)), b=np.asfortranarray(random.random((3, 4))), c=np.array("x"))
    with zipfile.ZipFile(archive, "w") as keras:
        keras.writestr("config.json", '{"class_name": "Sequential", "config": {"layers": []}}')
        keras.writestr("model.weights.h5", weights.getvalue())
    return {
        "weights": ("weights.h5", weights.getvalue()),
        "packed": ("h5", packed.getvalue()),
        "plain": ("npz", plain.getvalue()),
        "compressed": ("npz", arrays.getvalue()),
        "keras": ("keras", archive.getvalue()),
    }


GOOD = good_files()

changes = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8)
ends = st.floats(0, 1) | st.just(1.0)


@pytest.mark.parametrize("name", GOOD)
@settings(max_examples=250, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@example(edits=[], end=1.0)
@given(edits=changes, end=ends)
def test_changed_bytes_give_a_digest_or_an_error(name: str, edits: list[tuple[float, int]], end: float) -> None:
    file_format, original = GOOD[name]
    data = bytearray(original)
    for where, value in edits:
        data[int(where * len(data))] = value
    del data[int(end * len(data)) :]
    with contextlib.suppress(UnsafeFileError, DamagedFileError):
        digests = read_all(io.BytesIO(data), file_format)
        if file_format == "keras":
            find_code(read_keras_config(io.BytesIO(data)))
        assert data != original or digests == read_all(io.BytesIO(original), file_format)


def test_a_changed_byte_of_a_tensor_changes_its_digest_alone() -> None:
    file_format, original = GOOD["weights"]
    expected = read_all(io.BytesIO(original), file_format)
    for location in expected:
        with h5py.File(io.BytesIO(original)) as file:
            start, length = file[location].id.get_offset(), file[location].id.get_storage_size()
        for position in range(start, start + length):
            data = bytearray(original)
            data[position] ^= 1
            received = read_all(io.BytesIO(data), file_format)
            assert [each for each in expected if received[each] != expected[each]] == [location]


@given(st.binary(max_size=200), st.sampled_from(["h5", "npz", "keras"]))
def test_any_bytes_are_an_error(data: bytes, file_format: str) -> None:
    with pytest.raises((UnsafeFileError, DamagedFileError)):
        read_all(io.BytesIO(data), file_format)


def test_no_array_of_objects_is_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.array([{}], object))
    with pytest.raises(UnsafeFileError, match="unusual header"):
        read_npz_array(tmp_path / "x.npz", "a")


# Around the files


def test_an_unknown_format() -> None:
    with (
        pytest.raises(ArgumentError, match=r"Expected one of keras, h5, weights\.h5, npz"),
        open_tensors(io.BytesIO(), "pickle"),
    ):
        pass


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot read"), open_tensors(tmp_path / "none.h5", "h5"):
        pass


def test_errors_of_the_caller_stay_what_they_are() -> None:
    with pytest.raises(ZeroDivisionError), open_tensors(io.BytesIO(GOOD["keras"][1]), "keras"):
        raise ZeroDivisionError


def test_messages_name_the_file_as_the_caller_does() -> None:
    with (
        pytest.raises(DamagedFileError, match=r"^models/x\.h5: "),
        open_tensors(io.BytesIO(b""), "h5", where="models/x.h5"),
    ):
        pass


def test_reading_needs_neither_keras_nor_the_hdf5_library(tmp_path: Path) -> None:
    (tmp_path / "x.keras").write_bytes(GOOD["keras"][1])
    program = (
        "import sys\n"
        "from archiver.storage.tensors import open_tensors\n"
        "with open_tensors(sys.argv[1], 'keras') as tensors: print(len([*map(tensors.digest, tensors.entries)]))\n"
        "print([name for name in ('keras', 'tensorflow', 'h5py') if name in sys.modules])"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "x.keras")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "15\n[]\n"

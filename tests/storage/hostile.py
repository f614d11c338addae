"""Files that a stranger could send: each noun writes one, and says which error it must give.

`HOSTILE` lists them. They are made with h5py, NumPy and zipfile, or by changing bytes of what these wrote.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from archiver.errors import ArchiverError, DamagedFileError, UnsafeFileError

DECEMBER_1980 = (1980, 12, 1, 0, 0, 0)
ONES = np.ones(1000, "f4")


@dataclass(frozen=True)
class Hostile:
    """One file and its due."""

    name: str
    suffix: str
    write: Callable[[Path], None]
    error: type[ArchiverError]
    message: str
    """A regular expression that the message must match."""


HOSTILE: list[Hostile] = []


Write = Callable[[Path], None]


def _noun(suffix: str, error: type[ArchiverError], message: str) -> Callable[[Write], Write]:
    def register(write: Write) -> Write:
        HOSTILE.append(Hostile(write.__name__, suffix, write, error, message))
        return write

    return register


unsafe_h5 = partial(_noun, "h5", UnsafeFileError)
damaged_h5 = partial(_noun, "h5", DamagedFileError)
unsafe_npz = partial(_noun, "npz", UnsafeFileError)
damaged_npz = partial(_noun, "npz", DamagedFileError)
unsafe_keras = partial(_noun, "keras", UnsafeFileError)
damaged_keras = partial(_noun, "keras", DamagedFileError)


def h5(path: Path, **options: Any) -> h5py.File:
    """A new HDF5 file with one good tensor."""
    file = h5py.File(path, "w", **options)
    file["good"] = ONES
    return file


def patch(path: Path, old: bytes, new: bytes) -> None:
    """Replace bytes that are there exactly once."""
    data = path.read_bytes()
    assert data.count(old) == 1, data.count(old)
    path.write_bytes(data.replace(old, new))


def npy(array: np.ndarray[Any, Any], **options: Any) -> bytes:
    """The bytes of an `.npy` file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


def npy_header(text: str) -> bytes:
    """The beginning of an `.npy` file with any header."""
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode()


def pack(path: Path, members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> None:
    """A zip file of these members, duplicates and all."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)


# HDF5: other files, other kinds of objects


@unsafe_h5("a soft link")
def soft_link(path: Path) -> None:
    with h5(path) as file:
        file["link"] = h5py.SoftLink("/good")


@unsafe_h5("has a link b'link'. Received a link to another file")
def external_link(path: Path) -> None:
    with h5(path) as file:
        file["group/link"] = h5py.ExternalLink("/etc/passwd", "/x")


@unsafe_h5("has a link b'link'. Received a soft link")
def soft_link_among_names_beyond_ascii(path: Path) -> None:
    with h5(path) as file:
        file["größe"], file["link"] = 1, h5py.SoftLink("/good")


@unsafe_h5("many members with names beyond ASCII")
def heap_of_links(path: Path) -> None:
    with h5(path) as file:
        for index in range(9):
            file[f"größe {index}"] = 1


@unsafe_h5("another name of an object")
def second_hard_link(path: Path) -> None:
    with h5(path) as file:
        file["again"] = file["good"]


@unsafe_h5("second hard link to '/'")
def group_in_itself(path: Path) -> None:
    with h5(path) as file:
        file["a/b"] = file["/"]


@unsafe_h5("external storage")
def external_storage(path: Path) -> None:
    with h5(path) as file:
        file.create_dataset("x", shape=(10,), dtype="u1", external=[("/etc/passwd", 0, 10)])


@unsafe_h5("layout version 4, class 3")
def virtual_dataset(path: Path) -> None:
    layout = h5py.VirtualLayout((10,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (10,))
    with h5(path) as file:
        file.create_virtual_dataset("x", layout)


@unsafe_h5("no tensor and no plain group")
def named_type(path: Path) -> None:
    with h5(path) as file:
        file["type"] = np.dtype("f4")


@unsafe_h5("message 3 twice or shared")
def shared_type(path: Path) -> None:
    with h5(path) as file:
        file["type"] = np.dtype("f4")
        file.create_dataset("a", shape=(3,), dtype=file["type"])
        del file["type"]  # the tensor still refers to it


@unsafe_h5("Received variable length")
def text_of_any_length(path: Path) -> None:
    with h5(path) as file:
        file["x"] = ["a", "bc"]


@unsafe_h5("Received references")
def references(path: Path) -> None:
    with h5(path) as file:
        file.create_dataset("x", data=[file.ref], dtype=h5py.ref_dtype)


@unsafe_h5("Received records")
def records(path: Path) -> None:
    with h5(path) as file:
        file["x"] = np.zeros(2, "f4,f4")


@unsafe_h5("Received arrays")
def array_type(path: Path) -> None:
    with h5(path) as file:
        file.create_dataset("x", shape=(2,), dtype=np.dtype("(3,)f4"))


@unsafe_h5("HDF5 superblock version 3")
def newest_format(path: Path) -> None:
    h5(path, libver="latest").close()


@unsafe_h5("Received header version 79")
def newer_group_in_an_old_file(path: Path) -> None:
    with h5(path) as file:
        file.create_group("x", track_order=True)


@unsafe_h5("no plain shape")
def no_value(path: Path) -> None:
    with h5(path) as file:
        file["x"] = h5py.Empty("f4")


# HDF5: cost


@unsafe_h5(r"never written. Received 4000000000000000000 bytes declared, 0 stored")
def huge_and_never_written(path: Path) -> None:
    with h5(path) as file:
        file.create_dataset("x", shape=(10**9, 10**9), dtype="f4")


@unsafe_h5("too much memory to read in order")
def huge_in_chunks(path: Path) -> None:
    with h5(path) as file:
        shape = (50_000_000, 50_000_000)
        file.create_dataset("x", shape=shape, dtype="f4", chunks=(1000, 1000), compression="gzip")


@unsafe_h5("far larger than what is stored")
def gzip_bomb(path: Path) -> None:
    """Chunks of zeros: a real one, whose shape says that there are as many bytes as gzip can make of nothing."""
    with h5(path) as file:
        chunk = 1 << 24
        made = file.create_dataset("x", shape=(100 * chunk,), dtype="u1", chunks=(chunk,), compression=9)
        packed = zlib.compress(bytes(chunk), 9)
        for start in range(0, made.shape[0], chunk):
            made.id.write_direct_chunk((start,), packed)


@unsafe_h5("1048577 bytes. Expected 1 to 1048576")
def huge_elements(path: Path) -> None:
    with h5(path) as file:
        file["x"] = np.zeros(1, f"V{(1 << 20) + 1}")


@unsafe_h5(r"HDF5 filters \[32000\]")
def another_filter(path: Path) -> None:
    with h5(path) as file:
        file.create_dataset("x", data=ONES, chunks=(10,), compression="lzf")


@unsafe_h5(r"HDF5 filters \[3\]")
def checksum_filter(path: Path) -> None:
    with h5(path) as file:
        file.create_dataset("x", data=ONES, chunks=(10,), fletcher32=True)


@unsafe_h5("65 levels. Expected at most 64")
def deep_groups(path: Path) -> None:
    with h5(path) as file:
        file["/".join("g" * 64 + "x")] = 1


@unsafe_h5("tensors overlap")
def tensors_in_the_same_bytes(path: Path) -> None:
    with h5(path) as file:
        file["other"] = ONES
        first, second = file["good"].id.get_offset(), file["other"].id.get_offset()
        length = file["other"].id.get_storage_size()
    patch(path, struct.pack("<QQ", second, length), struct.pack("<QQ", first, length))
    cut(path, second)


@unsafe_h5("parts of its structure overlap")
def one_heap_for_many_groups(path: Path) -> None:
    """Each group is empty, but has the large heap of names of the root group."""
    with h5(path) as file:
        for index in range(60):
            file.create_group(f"{index:02}" + "n" * 1000)
    data = bytearray(path.read_bytes())
    root_heap, message = data[88:96], struct.pack("<HHI", 0x11, 16, 0)
    position = 0
    while (position := data.find(message, position + 1)) > 0:
        data[position + 16 : position + 24] = root_heap
    path.write_bytes(data)


def cut(path: Path, length: int) -> None:
    """Shorten an HDF5 file, and let its superblock agree."""
    data = bytearray(path.read_bytes()[:length])
    data[40:48] = struct.pack("<Q", length)
    path.write_bytes(data)


# HDF5: damage


@damaged_h5("does not begin like an HDF5 file")
def a_text(path: Path) -> None:
    path.write_text("# README\n" * 10)


@damaged_h5("cannot be read")
def an_empty_file(path: Path) -> None:
    path.touch()


@damaged_h5("cut short: 2000 of")
def half_a_file(path: Path) -> None:
    h5(path).close()
    os.truncate(path, 2000)


@damaged_h5("beyond the end")
def data_beyond_the_end(path: Path) -> None:
    with h5(path) as file:
        start = file["good"].id.get_offset()
    cut(path, start + 100)


@damaged_h5("a name is empty, a path or longer")
def name_that_is_a_path(path: Path) -> None:
    h5(path).close()
    patch(path, b"good\0", b"../x\0")


@damaged_h5("4000 bytes are stored for the shape")
def shape_of_other_bytes(path: Path) -> None:
    h5(path).close()
    patch(path, struct.pack("<Q", 1000) * 2, struct.pack("<Q", 2000) * 2)


@damaged_h5("a node of a tree does not begin like one")
def tree_that_is_none(path: Path) -> None:
    h5(path).close()
    patch(path, b"TREE", b"EERT")


@damaged_h5("1 of 2 chunks are there")
def missing_chunk(path: Path) -> None:
    with h5(path) as file:
        file.create_dataset("x", shape=(20,), dtype="f4", chunks=(10,))[:10] = 1


@damaged_h5("while decompressing|cut short")
def broken_chunk(path: Path) -> None:
    with h5(path) as file:
        made = file.create_dataset("x", shape=(20,), dtype="f4", chunks=(20,), compression="gzip")
        made.id.write_direct_chunk((0,), b"nothing")


@damaged_h5("unpacks to more than its shape")
def chunk_that_unpacks_to_more(path: Path) -> None:
    with h5(path) as file:
        made = file.create_dataset("x", shape=(20,), dtype="f4", chunks=(20,), compression="gzip")
        made.id.write_direct_chunk((0,), zlib.compress(bytes(1000)))


# Zip: members


@unsafe_npz("'a.npy' is there twice")
def duplicate_member(path: Path) -> None:
    pack(path, [("a.npy", npy(ONES))])
    with zipfile.ZipFile(path, "a") as archive:
        info = archive.filelist[0]
        archive.filelist.append(info)
        archive._didModify = True


@unsafe_npz("unsafe name.*component '..'")
def member_outside(path: Path) -> None:
    pack(path, [("../../evil.npy", npy(ONES))])


@unsafe_npz("unsafe name.*is absolute")
def absolute_member(path: Path) -> None:
    pack(path, [("/evil.npy", npy(ONES))])


@unsafe_npz("unsafe name.*backslash")
def member_with_backslash(path: Path) -> None:
    pack(path, [("a+b.npy", npy(ONES))])
    path.write_bytes(path.read_bytes().replace(b"a+b", b"a\\b"))


@unsafe_npz("unsafe name.*NUL")
def member_with_nul(path: Path) -> None:
    pack(path, [("a+b.npy", npy(ONES))])
    path.write_bytes(path.read_bytes().replace(b"a+b", b"a\0b"))


@unsafe_npz("a symbolic link")
def linked_member(path: Path) -> None:
    info = zipfile.ZipInfo("a.npy", DECEMBER_1980)
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, "/etc/passwd")


@unsafe_npz("encrypted")
def encrypted_member(path: Path) -> None:
    pack(path, [("a.npy", npy(ONES))])
    directory_field(path, 8, struct.pack("<H", 1))


@unsafe_npz("method 12")
def other_compression(path: Path) -> None:
    pack(path, [("a.npy", npy(ONES))], zipfile.ZIP_BZIP2)


@unsafe_npz("members overlap")
def overlapping_members(path: Path) -> None:
    pack(path, [("a.npy", npy(ONES))])
    with zipfile.ZipFile(path, "a") as archive:
        for index in range(40):
            info = zipfile.ZipInfo(f"b{index}.npy", DECEMBER_1980)
            original = archive.filelist[0]
            info.header_offset, info.CRC = original.header_offset, original.CRC
            info.file_size, info.compress_size = original.file_size, original.compress_size
            archive.filelist.append(info)
        archive._didModify = True


@unsafe_npz("far more than is stored")
def zip_bomb(path: Path) -> None:
    pack(path, [("a.npy", npy(np.zeros(1 << 20, "u1")))], zipfile.ZIP_DEFLATED)
    directory_field(path, 24, struct.pack("<I", 0xFFFFFFFE))


@damaged_npz("cannot be read")
def size_that_is_not_true(path: Path) -> None:
    """A member that declares 4,000 bytes more than it unpacks to, in the list of members and in its own header."""
    data = npy(ONES)
    longer = npy_header(npy(np.ones(2000, "f4"))[10:].split(b"\n")[0].decode() + "\n") + data[-4000:]
    pack(path, [("a.npy", longer)], zipfile.ZIP_DEFLATED)
    directory_field(path, 24, struct.pack("<I", len(longer) + 4000))


def directory_field(path: Path, offset: int, value: bytes) -> None:
    """Change a field of the first entry in the list of members."""
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\1\2") + offset
    data[start : start + len(value)] = value
    path.write_bytes(data)


# Arrays


class Evil:
    """What unpickles to a file that should not be there."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("unpickled",)


@unsafe_npz("unusual header")
def array_of_objects(path: Path) -> None:
    pack(path, [("a.npy", npy(np.array([Evil()], object), allow_pickle=True))])


@damaged_npz("does not begin like an array")
def pickle_as_array(path: Path) -> None:
    pack(path, [("a.npy", pickle.dumps(Evil()))])


@unsafe_npz("unusual header")
def code_in_the_header(path: Path) -> None:
    pack(path, [("a.npy", npy_header("{'descr': __import__('os').mkdir('unpickled')}\n"))])


@unsafe_npz("unusual header")
def brackets_in_the_header(path: Path) -> None:
    pack(path, [("a.npy", npy_header("(" * 9000))])


@unsafe_npz("unusual header")
def slow_header(path: Path) -> None:
    pack(path, [("a.npy", npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1" * 9000 + "x}\n"))])


@unsafe_npz("60000 bytes. Expected at most 10000")
def long_header(path: Path) -> None:
    pack(path, [("a.npy", npy_header(" " * 60000))])


@unsafe_npz("unusual header")
def array_of_records(path: Path) -> None:
    pack(path, [("a.npy", npy(np.zeros(2, "f4,f4")))])


@damaged_npz("not as long as its header says")
def huge_shape(path: Path) -> None:
    pack(path, [("a.npy", npy_header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10**18}, 99), }}\n"))])


@unsafe_npz("2000000 bytes. Expected 1 to")
def array_of_long_text(path: Path) -> None:
    pack(path, [("a.npy", npy_header("{'descr': '<U500000', 'fortran_order': False, 'shape': (), }\n"))])


@damaged_npz("cannot be read")
def array_of_no_type(path: Path) -> None:
    pack(path, [("a.npy", npy_header("{'descr': '<f3', 'fortran_order': False, 'shape': (), }\n"))])


@damaged_npz("is no array")
def other_member(path: Path) -> None:
    pack(path, [("a.npy", npy(ONES)), ("run.sh", b"rm -rf /")])


@damaged_npz("not a zip file")
def no_zip(path: Path) -> None:
    path.write_bytes(npy(ONES))


@damaged_npz("not a zip file")
def half_a_zip(path: Path) -> None:
    pack(path, [("a.npy", npy(ONES))])
    os.truncate(path, path.stat().st_size // 2)


# Keras


@damaged_keras("no member 'model.weights.h5' among 1")
def no_weights(path: Path) -> None:
    pack(path, [("config.json", b"{}")])


@damaged_keras("does not begin like an HDF5 file")
def weights_that_are_none(path: Path) -> None:
    pack(path, [("model.weights.h5", bytes(1000))])


@unsafe_keras("model.weights.h5: object '/' has a link b'link'. Received a soft link")
def soft_link_inside(path: Path) -> None:
    soft_link(path)
    pack(path, [("model.weights.h5", path.read_bytes())])


@unsafe_keras("is too large. Received 268435457 bytes. Expected at most 268435456")
def packed_weights_beyond_memory(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("model.weights.h5", "w") as member:
        for _ in range(256):
            member.write(bytes(1 << 20))
        member.write(b"\0")


@damaged_keras("does not lie in the file|cannot be read")
def weights_beyond_the_end(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", bytes(1000))
        archive.filelist[0].file_size = archive.filelist[0].compress_size = 1100
        archive._didModify = True


def with_config(path: Path, data: bytes | dict[str, Any]) -> Path:
    """A `.keras` file with this configuration and nothing else."""
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    pack(path, [("config.json", text)], zipfile.ZIP_DEFLATED)
    return path

"""Arrays in `.npz` files: written one at a time, the same bytes for the same arrays, and read without pickle.

An array type that `.npy` has no name for (bfloat16, float8 and the other types of ml_dtypes) is stored as unsigned
integers of the same width. Its name stands outside the file, in what `write_npz` returns.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from archiver.errors import ArgumentError, MissingExtraError
from archiver.storage.beneath import relative_parts
from archiver.storage.guards import BLOCK_BYTES, opened
from archiver.storage.npz_tensors import SUFFIX, Array, DType, NpzTensors
from archiver.storage.zips import SafeZip, plain_member

_KINDS = "biufcSUMm"


@dataclass(frozen=True)
class StoredArray:
    """What was written for one array."""

    dtype: str
    """NumPy's or ml_dtypes' name of the array's type; `read_npz_array` takes it."""
    shape: tuple[int, ...]
    sha256: str
    """Lowercase hex, of the bytes, little-endian and in C order."""
    stored_dtype: str
    """NumPy's name of the type in the file."""


def write_npz(target: Path | str | BinaryIO, arrays: Iterable[tuple[str, Array]]) -> dict[str, StoredArray]:
    """Write an uncompressed `.npz`, holding one array at a time; member times are fixed.

    Args:
        target: a path, which is overwritten, or a file open for writing.
        arrays: names without `.npy` (slashes are fine) and arrays; an iterator may make each when its turn comes.

    Returns:
        what was written, by name, in order.

    Raises:
        ArgumentError: a name twice, or an array of objects or records.
        UnsafePathError: a name that is refused as a path.
        OSError: the file system refused.
    """
    written: dict[str, StoredArray] = {}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays:
            relative_parts(name)
            if name in written:
                raise ArgumentError(f"Received two arrays named {name!r}. Expected different names.")
            written[name] = _write_array(archive, name, array)
            del array  # or it would live on while the next one is made
    return written


def _write_array(archive: zipfile.ZipFile, name: str, array: Array) -> StoredArray:
    stored = _storable(name, array)
    header = io.BytesIO()
    description = {"descr": stored.dtype.str, "fortran_order": False, "shape": stored.shape}
    np.lib.format.write_array_header_1_0(header, description)
    data = stored.reshape(-1).view(np.uint8).data
    info = plain_member(name + SUFFIX, len(header.getvalue()) + len(data))
    digest = hashlib.sha256()
    with archive.open(info, "w") as member:
        member.write(header.getvalue())
        for start in range(0, len(data), BLOCK_BYTES):
            digest.update(data[start : start + BLOCK_BYTES])
            member.write(data[start : start + BLOCK_BYTES])
    return StoredArray(array.dtype.name, array.shape, digest.hexdigest(), stored.dtype.name)


def _storable(name: str, array: Array) -> Array:
    """The array in C order, little-endian, of a type that `.npy` can name."""
    ordered = np.asarray(array, order="C")
    dtype = ordered.dtype
    if dtype.names is None and (dtype.kind == "V" or dtype.isbuiltin == 2):  # noqa: PLR2004 - NumPy: a foreign type
        if dtype.itemsize not in (1, 2, 4, 8):
            raise ArgumentError(f"Received the array {name!r} of {dtype}. Expected elements of 1, 2, 4 or 8 bytes.")
        ordered = ordered.view(f"u{dtype.itemsize}")
    elif dtype.kind not in _KINDS or not dtype.itemsize:
        raise ArgumentError(f"Received the array {name!r} of {dtype}. Expected numbers, text, bytes or times.")
    return ordered.astype(ordered.dtype.newbyteorder("<"), copy=False)


def read_npz_array(source: Path | str | BinaryIO, name: str, dtype: str | None = None) -> Array:
    """One array of a `.npz`, in memory.

    Args:
        source: a path, or an open binary file that can seek; it is left open.
        name: the array's name, without `.npy`.
        dtype: `StoredArray.dtype`; else the array has the type it is stored with.

    Raises:
        ArgumentError: the stored type cannot stand for `dtype`.
        MissingExtraError: `dtype` is one of ml_dtypes', which is not installed.
        UnsafeFileError: something in the file is refused.
        DamagedFileError: the file is no `.npz`, or has no whole array of this name.
        StorageError: the path cannot be opened.
    """
    with opened(source, None) as (file, where):
        archive = SafeZip(file, where)
        try:
            array = NpzTensors(archive, where).load(name)
        finally:
            archive.close()
    if dtype is None or array.dtype.name == dtype:
        return array
    return array.view(_foreign(dtype, array.dtype))


def _foreign(name: str, stored: DType) -> DType:
    """The type of ml_dtypes, or of void bytes, that `stored` stands for."""
    received = f"Received dtype={name[:100]!r} for an array stored as {stored.name}."
    if stored.kind != "u":
        raise ArgumentError(f"{received} Expected the type that it is stored with.")
    if name == f"void{8 * stored.itemsize}":
        return np.dtype(f"V{stored.itemsize}")
    try:
        import ml_dtypes
    except ImportError as error:
        raise MissingExtraError(f"{received} That needs ml_dtypes: pip install ml_dtypes") from error
    scalar = getattr(ml_dtypes, name, None)
    if not isinstance(scalar, type) or not issubclass(scalar, np.generic):
        raise ArgumentError(f"{received} Expected a type of ml_dtypes, such as 'bfloat16'.")
    dtype: DType = np.dtype(scalar)
    if dtype.itemsize != stored.itemsize:
        raise ArgumentError(f"{received} Expected a type of {stored.itemsize} bytes.")
    return dtype

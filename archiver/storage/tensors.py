"""Tensors of a weights file, read without loading a model: what they are, and digests of their bytes.

    with open_tensors(path, "weights.h5") as tensors:
        for location, entry in tensors.entries.items():
            print(location, entry.dtype, entry.shape, tensors.digest(location))

A location is the path of a dataset in HDF5 (`layers/dense/vars/0`, also inside `.keras`), or the name of an array in
`.npz`. Whatever a stranger wrote into the file, the answer is a digest or one of two errors, in bounded memory.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Protocol

from archiver.errors import ArgumentError
from archiver.storage.guards import TensorEntry, opened
from archiver.storage.zips import SafeZip

FORMATS = ("keras", "h5", "weights.h5", "npz")
"""By suffix: Keras 3, legacy HDF5, Keras 3 weights, NumPy arrays."""

WEIGHTS_MEMBER = "model.weights.h5"
MAXIMAL_UNPACKED_BYTES = 256 << 20
"""A compressed `model.weights.h5` inside `.keras` is unpacked into memory; Keras itself stores it as it is."""


class Tensors(Protocol):
    """The tensors of one open file."""

    @property
    def entries(self) -> Mapping[str, TensorEntry]:
        """All tensors by location, sorted."""

    def digest(self, location: str) -> str:
        """SHA-256 (lowercase hex) of a tensor's bytes, little-endian and in C order.

        Raises:
            DamagedFileError: there is no such tensor, or it cannot be read.
        """

    def blocks(self, location: str) -> Iterator[memoryview | bytes]:
        """A tensor's bytes in blocks of whole elements, little-endian and in C order; each is valid until the next.

        Raises:
            DamagedFileError: there is no such tensor, or it cannot be read.
        """


@contextlib.contextmanager
def open_tensors(source: Path | str | BinaryIO, file_format: str, *, where: str | None = None) -> Iterator[Tensors]:
    """Look through the whole file and give access to its tensors.

    Args:
        source: a path, or an open binary file that can seek, such as one from
            `archiver.storage.beneath.open_beneath`; it is left open, at any position.
        file_format: one of `FORMATS`.
        where: what messages call the file; else its path.

    Raises:
        ArgumentError: an unknown format.
        UnsafeFileError: something in the file is refused; see `archiver.storage.hdf5`, `npz_tensors` and `zips`.
        DamagedFileError: the file is not what the format asks for.
        StorageError: the path cannot be opened.
    """
    if file_format not in FORMATS:
        raise ArgumentError(f"Received file_format={file_format!r}. Expected one of {', '.join(FORMATS)}.")
    with opened(source, where) as (file, name), contextlib.ExitStack() as stack:
        yield _tensors(file, file_format, name, stack)


def _tensors(file: BinaryIO, file_format: str, where: str, stack: contextlib.ExitStack) -> Tensors:
    from archiver.storage.hdf5 import Hdf5Tensors
    from archiver.storage.npz_tensors import NpzTensors

    if file_format in ("h5", "weights.h5"):
        return Hdf5Tensors(file, where)
    archive = SafeZip(file, where)
    stack.callback(archive.close)
    if file_format == "npz":
        return NpzTensors(archive, where)
    weights = archive.window(WEIGHTS_MEMBER) or io.BytesIO(archive.read(WEIGHTS_MEMBER, MAXIMAL_UNPACKED_BYTES))
    return Hdf5Tensors(weights, f"{where}: {WEIGHTS_MEMBER}")

"""Windows as the packed chunks of an HDF5 dataset, made by any process, put into the file by one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.cache.codecs import filter_arguments

PACKED_BYTES = 4 << 20
"""Packed at a time: what stays in the caches is packed half as fast again."""
Chunk = tuple[int, bytes]
"""Which filters were left out (a bit for each), and the packed bytes."""


def pack(windows: NDArray[Any], codec: str) -> list[Chunk]:
    """Each window packed by itself.

    Args:
        windows: shape (windows, ...), of the type that is stored.
        codec: one of `codecs.CODECS`.

    Raises:
        MissingExtraError: the codec needs hdf5plugin, which is not installed.
    """
    if codec == "none":
        return [(0, window.tobytes()) for window in windows]
    step = max(1, PACKED_BYTES // max(1, windows[:1].nbytes))
    parts = (windows[begin : begin + step] for begin in range(0, len(windows), step))
    return [chunk for part in parts for chunk in _pack(part, codec)]


def _pack(windows: NDArray[Any], codec: str) -> list[Chunk]:
    import h5py

    zeros = (0,) * (windows.ndim - 1)
    with h5py.File("chunks", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset(
            "windows", windows.shape, windows.dtype, chunks=(1, *windows.shape[1:]), **filter_arguments(codec)
        )
        dataset.id.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(windows))
        file.flush()
        return [dataset.id.read_direct_chunk((number, *zeros)) for number in range(len(windows))]


def append_chunks(dataset: Any, chunks: Iterable[Chunk], begin: int) -> None:
    """Put packed windows behind the first `begin` ones of an HDF5 dataset that is long enough."""
    zeros = (0,) * (len(dataset.shape) - 1)
    for number, (left_out, data) in enumerate(chunks, begin):
        dataset.id.write_direct_chunk((number, *zeros), data, left_out)

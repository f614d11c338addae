"""The HDF5 file of a cache: `windows`, one to a chunk, `item`, `labels`, `groups`, `metadata`, `scale`, `offset`.

h5py's oldest format, which every HDF5 reads. An empty file depends on the header alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from archiver.data.cache.codecs import filter_arguments
from archiver.data.cache.records import CacheHeader
from archiver.storage import files

WINDOWS, ITEM, LABELS = "windows", "item", "labels"
SCALE, OFFSET = "scale", "offset"
_MEANING = "A value is windows[i] * scale[item] + offset[item] in float32, where item = item/codes[i]."


def write_empty(path: Path, header: CacheHeader) -> None:
    """Write a cache without items, whole or not at all.

    Raises:
        StorageError: the file system refused.
        MissingExtraError: the codec needs hdf5plugin, which is not installed.
    """
    import h5py

    shape, filters = header.window_shape, filter_arguments(header.codec)
    with files.replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["archiver_window_cache"] = header.format_version
        file.attrs["description"] = json.dumps(header.description)
        windows = file.create_dataset(
            WINDOWS, (0, *shape), header.stored_dtype, maxshape=(None, *shape), chunks=(1, *shape), **filters
        )
        if header.scale_shape is not None:
            windows.attrs["meaning"] = _MEANING
            for name in (SCALE, OFFSET):
                per_item = (0, *header.scale_shape)
                chunks = (16, *header.scale_shape)
                file.create_dataset(name, per_item, "<f4", maxshape=(None, *header.scale_shape), chunks=chunks)


def append_scaling(file: Any, scale: Any, offset: Any) -> None:
    """Add the scale and offset of the next item."""
    for name, value in ((SCALE, scale), (OFFSET, offset)):
        dataset = file[name]
        dataset.resize(len(dataset) + 1, axis=0)
        dataset[-1] = np.broadcast_to(value, dataset.shape[1:])

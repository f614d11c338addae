"""What a cache says of each window beside its values: labels, groups, metadata; a row per window.

Numbers are a dataset. Texts are a group of two: `names`, each text once, and `codes`, the position of each row's text
in `names`: `names[codes]` are the texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.errors import DataError
from archiver.storage.digests import hasher

Columns = Mapping[str, NDArray[Any]]
"""By path in the file, such as `labels` or `groups/subject`."""
ROWS_PER_CHUNK = 1024
NAME_BYTES = 32


def checked_column(path: str, values: Any, count: int) -> NDArray[Any]:
    """Numbers or texts, a row for each of `count` windows.

    Raises:
        DataError: another number of rows, or Python objects.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biufU" or array.ndim == 0 or len(array) != count:
        raise DataError(f"Received {path} of {array.dtype}, shape {array.shape}. Expected {count} rows of numbers, or "
                        "texts.")  # fmt: skip
    if array.dtype.kind == "U" and array.ndim != 1:
        raise DataError(f"Received {path} of texts, shape {array.shape}. Expected one text for each window.")
    return array if array.dtype.kind == "U" else np.ascontiguousarray(array, array.dtype.newbyteorder("<"))


def digest_of_columns(columns: Columns) -> str:
    """BLAKE3, in hex, of names, types and rows."""
    digest = hasher("blake3")
    for path in sorted(columns):
        rows = columns[path]
        is_text = rows.dtype.kind == "U"
        digest.update(f"{path}\0{'text' if is_text else rows.dtype.str}\0{rows.shape}\0".encode())
        digest.update("\0".join(rows.tolist()).encode("utf-8", "surrogatepass") if is_text else rows.tobytes())
    return digest.hexdigest()


def append_columns(file: Any, columns: Columns, begin: int) -> None:
    """Put rows behind the first `begin` ones of the columns of an HDF5 file.

    Raises:
        DataError: other columns, or of another type or shape, than those of the items before.
    """
    found = column_paths(file)
    if begin and sorted(columns) != sorted(found):
        raise DataError(f"Received the columns {sorted(columns)}. Expected {sorted(found)}, as the items before have.")
    for path, rows in columns.items():
        if rows.dtype.kind == "U":
            _append_texts(file.require_group(path), rows, begin, path)
        else:
            _append_rows(file, path, rows, begin)


def _append_rows(group: Any, path: str, rows: NDArray[Any], begin: int) -> None:
    if path not in group:
        chunks = (ROWS_PER_CHUNK, *(max(1, size) for size in rows.shape[1:]))
        group.create_dataset(path, (0, *rows.shape[1:]), rows.dtype, maxshape=(None, *rows.shape[1:]), chunks=chunks)
    dataset = group[path]
    if not hasattr(dataset, "dtype") or dataset.dtype != rows.dtype or dataset.shape[1:] != rows.shape[1:]:
        held = f"{dataset.dtype}, {dataset.shape[1:]} a row" if hasattr(dataset, "dtype") else "texts"
        raise DataError(f"Received {path} of {rows.dtype}, {rows.shape[1:]} a row. Expected {held}, as before.")
    dataset.resize(begin + len(rows), axis=0)
    if len(rows):
        dataset[begin:] = rows


def _append_texts(group: Any, rows: NDArray[np.str_], begin: int, path: str) -> None:
    if not hasattr(group, "keys"):
        raise DataError(f"Received texts as {path}. Expected numbers, as before.")
    names = [] if "names" not in group else [name.decode() for name in group["names"][:].tolist()]
    known = {name: code for code, name in enumerate(names)}
    distinct, inverse = np.unique(rows, return_inverse=True)
    for name in distinct.tolist():
        known.setdefault(name, len(known))
    codes = np.array([known[name] for name in distinct.tolist()], "<i4")
    if len(known) > len(names):
        _write_names(group, list(known), path)
    _append_rows(group, "codes", codes[inverse] if len(rows) else np.empty(0, "<i4"), begin)


def _write_names(group: Any, names: list[str], path: str) -> None:
    encoded = [name.encode() for name in names]
    if any(name.endswith(b"\0") for name in encoded):
        raise DataError(f"Received a text in {path} that ends with a null character. Expected one that does not.")
    longest = max(NAME_BYTES, *map(len, encoded))
    size = 1 << (longest - 1).bit_length()
    if "names" in group and group["names"].dtype.itemsize < size:
        del group["names"]
    if "names" not in group:
        group.create_dataset("names", (0,), f"S{size}", maxshape=(None,), chunks=(64,))
    group["names"].resize(len(names), axis=0)
    group["names"][:] = np.array(encoded, group["names"].dtype)


def column_paths(file: Any) -> list[str]:
    """Of all columns in an HDF5 file."""
    found = [name for name in ("labels", "item") if name in file]
    for parent in ("groups", "metadata"):
        found += [f"{parent}/{name}" for name in file.get(parent, ())]
    return found


def read_column(file: Any, path: str) -> NDArray[Any]:
    """All rows of a column.

    Raises:
        KeyError: there is none.
    """
    found = file[path]
    if hasattr(found, "dtype"):
        return np.asarray(found[()])
    names = np.array([name.decode() for name in found["names"][:].tolist()] if "names" in found else [], np.str_)
    codes = found["codes"][:]
    return names[codes] if len(names) else np.empty(0, np.str_)

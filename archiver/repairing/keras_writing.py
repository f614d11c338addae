"""Keras' HDF5 files written anew, object by object in Keras' order: with the same HDF5 library, byte for byte the same.

HDF5's own library is used here to write, never to read what a stranger wrote.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archiver.storage.guards import TensorEntry
from archiver.storage.hdf5 import Hdf5Tensors
from archiver.storage.hdf5_attributes import Attribute, read_attributes
from archiver.storage.hdf5_format import Source

VARIABLES = "vars"


@dataclass(frozen=True)
class Part:
    """A group or a tensor of a file."""

    path: str
    attributes: tuple[Attribute, ...] = ()
    entry: TensorEntry | None = None
    """Of a tensor."""


def parts_of(file: Any, where: str) -> list[Part]:
    """The parts of a file as Keras made them: the groups of variables with their names, and the tensors.

    Raises:
        DamagedFileError, UnsafeFileError: it cannot be read.
    """
    tensors = Hdf5Tensors(file, where)
    parts: list[Part] = []
    for path, address in tensors.objects():
        entry = tensors.entries.get(path)
        if entry is not None or path == VARIABLES or path.endswith(f"/{VARIABLES}"):
            attributes = read_attributes(Source(file, where), address, f"object {path[-200:]!r}")
            parts.append(Part(path, tuple(attributes), entry))
    return parts


def write_weights(target: Path, parts: Iterable[Part], content: Callable[[Part], bytes], *, in_memory: bool) -> None:
    """A `.weights.h5`, or the one inside `.keras`, for which Keras has HDF5 write into memory."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer if in_memory else target, "w") as file:
        for part in parts:
            if part.entry is None:
                folder, _, _ = part.path.rpartition("/")
                made = (file.require_group(folder) if folder else file).require_group(VARIABLES)
                _set_attributes(made, part.attributes)
            else:
                file[part.path] = array_of(part.entry, content(part))
                _set_attributes(file[part.path], part.attributes)
    if in_memory:
        target.write_bytes(buffer.getvalue())


def array_of(entry: TensorEntry, data: bytes) -> Any:
    """The bytes as an array, of a type that HDF5 stores as they are."""
    name = entry.dtype
    if name.startswith("bytes"):
        dtype = np.dtype(f"S{entry.item_bytes}")
    elif name.startswith("void"):
        dtype = np.dtype(f"V{entry.item_bytes}")
    else:
        dtype = np.dtype(name)
    return np.frombuffer(data, dtype).reshape(entry.shape)


def _set_attributes(target: Any, attributes: Iterable[Attribute]) -> None:
    for attribute in attributes:
        target.attrs[attribute.name] = _value(attribute)


def _value(attribute: Attribute) -> Any:
    value = attribute.value
    if isinstance(value, bytes):
        return value.decode() if attribute.kind == "text" else value
    if attribute.kind == "fixed":
        return np.array(value, f"S{attribute.item_bytes}")
    return list(value) if value else np.zeros(0)


@dataclass(frozen=True)
class LegacyModel:
    """What a legacy `.h5` holds."""

    attributes: tuple[Attribute, ...]
    layer_names: Sequence[str]
    layers: dict[str, list[tuple[str, TensorEntry, bytes]]]
    """By layer, its weights in order: path, type, bytes; also of layers without any."""
    top_level: list[tuple[str, TensorEntry, bytes]]
    optimizer: list[tuple[str, TensorEntry, bytes]]


def write_legacy(target: Path, model: LegacyModel) -> None:
    """A legacy `.h5`."""
    import h5py

    named = {attribute.name: attribute for attribute in model.attributes}
    with h5py.File(target, "w") as file:
        _set_attributes(file, model.attributes)
        group = file.create_group("model_weights")
        _set_names(group, "layer_names", list(model.layer_names))
        for name in ("backend", "keras_version"):
            group.attrs[name] = bytes(named[name].value)  # type: ignore[arg-type]
        for layer in sorted(model.layer_names):
            _fill(group.create_group(layer), model.layers.get(layer, []))
        _fill(group.create_group("top_level_model_weights"), model.top_level)
        if model.optimizer:
            _fill(file.create_group("optimizer_weights"), model.optimizer)


def _fill(group: Any, weights: list[tuple[str, TensorEntry, bytes]]) -> None:
    _set_names(group, "weight_names", [path for path, _, _ in weights])
    for path, entry, data in weights:
        array = array_of(entry, data)
        made = group.create_dataset(path.encode(), array.shape, dtype=array.dtype)
        made[() if not array.shape else slice(None)] = array


MAXIMAL_ATTRIBUTE_BYTES = 64512
"""Keras cuts a longer list of names into several attributes."""


def _set_names(group: Any, name: str, names: list[str]) -> None:
    encoded = [each.encode() for each in names]
    pieces = 1
    while any(piece.nbytes > MAXIMAL_ATTRIBUTE_BYTES for piece in np.array_split(np.asarray(encoded), pieces)):
        pieces += 1
    if pieces == 1:
        group.attrs[name] = encoded
        return
    for place, piece in enumerate(np.array_split(np.asarray(encoded), pieces)):
        group.attrs[f"{name}{place}"] = piece

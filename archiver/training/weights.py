"""The weights of a live model: arrays, digests, and where each format keeps each variable."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from archiver.records.model import VariablePart
from archiver.storage.digests import canonical_json

Array = NDArray[Any]


def to_array(variable: Any) -> Array:
    """The value of a variable or tensor of any backend, in C order and little-endian."""
    # Keras' own conversion warns under NumPy 2.4; the variable's method does the same without.
    value = variable.numpy() if hasattr(variable, "numpy") else keras.ops.convert_to_numpy(variable)
    array = np.ascontiguousarray(np.asarray(value))
    array = array.reshape(tuple(variable.shape)) if hasattr(variable, "shape") else array
    return array.astype(array.dtype.newbyteorder("<")) if array.dtype.byteorder == ">" else array


def raw_bytes(array: Array) -> memoryview:
    """The bytes of a contiguous array, without a copy."""
    return array.reshape(-1).view(np.uint8).data


def weights_digest(variables: Iterable[Any]) -> str:
    """SHA-256 over variables in order; `archiver.records.model.WeightsTable.weights_digest` defines it."""
    digest = hashlib.sha256()
    for index, variable in enumerate(variables):
        add_to_digest(digest, index, to_array(variable))
    return digest.hexdigest()


def add_to_digest(digest: Any, index: int, array: Array) -> None:
    """Add one variable: length of the header, header, bytes. Never its path: paths change between processes."""
    header = canonical_json({"index": index, "dtype": array.dtype.name, "shape": list(array.shape)})
    digest.update(struct.pack("<Q", len(header)))
    digest.update(header)
    digest.update(raw_bytes(array))


def variable_table(variables: Iterable[Any], owners: dict[int, str] | None = None) -> tuple[VariablePart, ...]:
    """One part per variable, without locations. `owners`: layer names by `id` of the variable."""
    return tuple(_part(index, variable, (owners or {}).get(id(variable))) for index, variable in enumerate(variables))


def _part(index: int, variable: Any, layer: str | None) -> VariablePart:
    array = to_array(variable)
    return VariablePart(
        index=index,
        path=str(getattr(variable, "path", getattr(variable, "name", index))),
        layer=layer,
        dtype=array.dtype.name,
        shape=array.shape,
        trainable=bool(getattr(variable, "trainable", False)),
        sha256=hashlib.sha256(raw_bytes(array)).hexdigest(),
    )


def layer_names(model: Any) -> dict[int, str]:
    """The name of the innermost layer that owns each variable, by `id` of the variable."""
    owners: dict[int, str] = {}
    for layer in model._flatten_layers(include_self=True, recursive=True):  # noqa: SLF001 - Keras has no public walk
        own = [*getattr(layer, "_trainable_variables", ()), *getattr(layer, "_non_trainable_variables", ())]
        owners |= {id(variable): layer.name for variable in own}
    return owners


def optimizer_variables(model: Any) -> list[Any]:
    """The variables of the optimizer, those of a wrapped one included; none without an optimizer."""
    optimizer = getattr(model, "optimizer", None)
    return list(getattr(optimizer, "variables", ()) or ())


def seed_generators(model: Any) -> list[Any]:
    """The states of all seed generators of the model (Dropout, augmentation, recurrent layers), in a fixed order."""
    return [generator.state for generator in _walk_generators(model, set())]


def _walk_generators(value: Any, seen: set[int]) -> Iterator[Any]:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, keras.random.SeedGenerator):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _walk_generators(item, seen)
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from _walk_generators(value[key], seen)
    elif isinstance(value, keras.layers.Layer | keras.metrics.Metric | keras.losses.Loss):
        attributes = vars(value)
        for key in sorted(attributes):
            if key != "_tracker":
                yield from _walk_generators(attributes[key], seen)

"""The weights of a live model: arrays, digests, statistics."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from archiver.collect.numbers import Array, little_endian, raw_bytes
from archiver.collect.values import scan
from archiver.records.model import MeasuredVariable, OptimizerVariable, VariablePart
from archiver.storage.digests import canonical_json
from archiver.storage.npz import StoredArray
from archiver.training.names import Names


def to_array(variable: Any) -> Array:
    """The value of a variable or tensor of any backend, in C order and little-endian."""
    variable = _own_part(variable)
    # Keras' own conversion warns under NumPy 2.4; the variable's method does the same without.
    value = variable.numpy() if hasattr(variable, "numpy") else keras.ops.convert_to_numpy(variable)
    array = np.ascontiguousarray(np.asarray(value))
    array = array.reshape(tuple(variable.shape)) if hasattr(variable, "shape") else array
    return little_endian(array)


def _own_part(variable: Any) -> Any:
    """Where several processes train under one strategy of TensorFlow, what this process holds: to read the whole of a
    metric, all of them would have to read it at once."""
    extended = getattr(getattr(getattr(variable, "_value", None), "distribute_strategy", None), "extended", None)
    is_multi_worker = getattr(extended, "_in_multi_worker_mode", None)
    return variable._value._primary if is_multi_worker is not None and is_multi_worker() else variable  # noqa: SLF001


def weights_digest(variables: Iterable[Any]) -> str:
    """SHA-256 over variables in order; `archiver.records.model.WeightsTable.weights_digest` defines it."""
    digest = hashlib.sha256()
    for index, variable in enumerate(variables):
        add_to_digest(digest, index, to_array(variable))
    return digest.hexdigest()


def add_to_digest(digest: Any, index: int, array: Array) -> None:
    """Add one variable: length of the header, header, bytes. Never its path: paths change between processes."""
    digest.update(digest_header(index, array.dtype.name, array.shape))
    digest.update(raw_bytes(array))


def digest_header(index: int, dtype: str, shape: tuple[int, ...]) -> bytes:
    """What stands before a variable's bytes in the weights digest."""
    header = canonical_json({"index": index, "dtype": dtype, "shape": list(shape)})
    return struct.pack("<Q", len(header)) + header


@dataclass(frozen=True)
class Weights:
    """The weights of a model, looked through once."""

    digest: str
    variables: tuple[MeasuredVariable, ...]


def measure_weights(model: Any, names: Names) -> Weights:
    """Digest, statistics and owner of each of the model's weights; every value is read once."""
    owners = layer_names(model)
    digest = hashlib.sha256()
    parts = []
    for index, variable in enumerate(model.weights):
        array = to_array(variable)
        digest.update(digest_header(index, array.dtype.name, array.shape))
        parts.append(_measured(index, variable, array, names, owners.get(id(variable)), digest))
    return Weights(digest.hexdigest(), tuple(parts))


def measure_variables(variables: Iterable[Any], names: Names) -> tuple[MeasuredVariable, ...]:
    """Digest and statistics of variables that belong to no layer."""
    return tuple(
        _measured(index, variable, to_array(variable), names, None) for index, variable in enumerate(variables)
    )


def _measured(
    index: int, variable: Any, array: Array, names: Names, layer: str | None, *hashers: Any
) -> MeasuredVariable:
    own = hashlib.sha256()
    statistics = scan(array, (own, *hashers))
    stored = StoredArray(array.dtype.name, array.shape, own.hexdigest(), array.dtype.name)
    part = variable_part(index, variable, stored, names, layer)
    return MeasuredVariable(**dict(part), statistics=statistics)


def variable_part(index: int, variable: Any, value: StoredArray, names: Names, layer: str | None) -> VariablePart:
    """What a record says of a variable and its value, without locations."""
    return VariablePart(
        index=index,
        path=names.clean(path_of(variable, index)),
        layer=None if layer is None else names.clean(layer),
        dtype=value.dtype,
        shape=value.shape,
        trainable=bool(getattr(variable, "trainable", False)),
        sha256=value.sha256,
    )


def path_of(variable: Any, index: int) -> str:
    """Keras' path of a variable; its name or position where it has none."""
    return str(getattr(variable, "path", getattr(variable, "name", index)))


def measure_optimizer(model: Any, names: Names) -> tuple[OptimizerVariable, ...]:
    """Digest and statistics of the optimizer's variables, and which of the model's variables each belongs to."""
    variables = optimizer_variables(model)
    owners = {path_of(each, index).replace("/", "_"): path_of(each, index) for index, each in enumerate(model.weights)}
    parts = []
    for part, variable in zip(measure_variables(variables, names), variables, strict=True):
        slot, path = _slot(str(getattr(variable, "name", "")), owners)
        slot_of = None if path is None else names.clean(path)
        parts.append(OptimizerVariable(**dict(part), slot=slot, slot_of=slot_of))
    return tuple(parts)


def _slot(name: str, owners: dict[str, str]) -> tuple[str | None, str | None]:
    """Keras names a slot after its variable: the path with `_` for `/`, `_`, and what it keeps. Of several variables
    that fit, the one with the longest path is meant."""
    for end in range(len(name) - 1, 0, -1):
        if name[end] == "_" and name[:end] in owners:
            return name[end + 1 :], owners[name[:end]]
    return None, None


def layer_names(model: Any) -> dict[int, str]:
    """The name of the innermost layer that owns each variable, by `id` of the variable."""
    return {key: str(layer.name) for key, layer in owning_layers(model).items()}


def owning_layers(model: Any) -> dict[int, Any]:
    """The innermost layer that owns each variable, by `id` of the variable."""
    owners: dict[int, Any] = {}
    for layer in model._flatten_layers(include_self=True, recursive=True):  # noqa: SLF001 - Keras has no public walk
        own = [*getattr(layer, "_trainable_variables", ()), *getattr(layer, "_non_trainable_variables", ())]
        owners |= {id(variable): layer for variable in own}
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

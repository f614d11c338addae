"""Whether a call of `fit` is the one that a run was cut off in: model, optimizer, data, arguments and seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from archiver.collect.numbers import Array, little_endian, raw_bytes
from archiver.collect.redaction import redact_json
from archiver.records.base import Json
from archiver.storage.digests import canonical_json, sha256_of
from archiver.storage.jsonable import jsonable, qualified_name
from archiver.training.capture import FitCall
from archiver.training.datasets import windows_of
from archiver.training.random_states import seeds
from archiver.training.weights import to_array

HASHED_BYTES = 64 << 20
"""Arrays up to here are hashed whole, which takes some hundredths of a second; of larger ones, some samples."""
SAMPLED_ROWS = 1024
_ARGUMENTS = (
    "batch_size", "epochs", "initial_epoch", "steps_per_epoch", "shuffle", "validation_split", "validation_steps",
    "validation_batch_size", "validation_freq", "class_weight",
)  # fmt: skip
_DATA = ("x", "y", "sample_weight", "val_x", "val_y", "val_sample_weight")


def identity_of(call: FitCall) -> dict[str, Json]:
    """What must be the same for one call of `fit` to be the continuation of another."""
    arguments = {name: call.resolved[name] for name in _ARGUMENTS if name in call.resolved}
    data = {name: call.resolved[name] for name in _DATA if call.resolved.get(name) is not None}
    seed = seeds().keras
    return {
        "model": _if_known(_model, call.model),
        "optimizer": _if_known(_optimizer, getattr(call.model, "optimizer", None)),
        "data": {name: _if_known(_data, value) for name, value in data.items()},
        "fit": dict(jsonable(arguments)),
        "seed": seed if isinstance(seed, int) else None,
    }


def _if_known(describe: Callable[[Any], Json], value: Any) -> Json:
    try:
        return describe(value)
    except Exception:  # noqa: BLE001 - classes of the user's own; training does not fail because of archiving
        return None


def differences(then: Any, now: Any, where: str = "") -> Iterator[str]:
    """What differs, one by one; what was not known then or is not now is no difference."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in sorted(then.keys() | now.keys()):
            yield from differences(then.get(key), now.get(key), f"{where}/{key}" if where else key)
    elif then is not None and now is not None and then != now:
        yield f"{where} was {_short(then)} and is {_short(now)}"
    elif (then is None) != (now is None) and where == "seed":
        yield f"seed was {then} and is {now}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004


def _model(model: Any) -> dict[str, Json]:
    layers = list(model._flatten_layers(include_self=False, recursive=True))  # noqa: SLF001 - Keras has no public walk
    shapes = [[list(weight.shape), str(weight.dtype)] for weight in model.weights] if model.built else None
    return {
        "class": qualified_name(type(model)),
        "layers": ", ".join(type(layer).__name__ for layer in layers),
        "layer_configurations": sha256_of(canonical_json({"layers": [_config(layer) for layer in layers]})),
        "weight_shapes": None if shapes is None else sha256_of(canonical_json({"shapes": shapes})),
    }


def _config(layer: Any) -> Json:
    if getattr(layer, "layers", None):
        return None  # its own layers are told
    try:
        config = dict(layer.get_config())
    except Exception:  # noqa: BLE001 - a layer of the user's own
        return None
    config.pop("name", None)
    return jsonable(config)


def _optimizer(optimizer: Any) -> dict[str, Json] | None:
    if optimizer is None:
        return None
    try:
        config = dict(optimizer.get_config())
    except Exception:  # noqa: BLE001 - an optimizer of the user's own
        config = {}
    config.pop("name", None)
    if _has_stepped(optimizer):
        config.pop("learning_rate", None)  # a callback may have changed it since, or Keras' BackupAndRestore before us
    return {"class": qualified_name(type(optimizer)), **dict(redact_json(jsonable(config)))}


def _has_stepped(optimizer: Any) -> bool:
    iterations = getattr(optimizer, "iterations", None)
    return iterations is not None and int(to_array(iterations)) > 0


def _data(value: Any) -> Json:
    parts = [_part(each) for each in keras.tree.flatten(value)]
    return parts[0] if len(parts) == 1 else {str(index): part for index, part in enumerate(parts)}


def _part(value: Any) -> dict[str, Json]:
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        spec = getattr(value, "element_spec", None)
        batches = getattr(value, "num_batches", None)
        told = {
            "elements": None if spec is None else str(spec),
            "batch_count": None if batches is None else int(batches),
        }
        windows = windows_of(value)
        if windows is not None:
            told["windows"] = sha256_of(canonical_json({"described": jsonable(windows.described)}))
        return {"class": qualified_name(type(value)), **told}
    shape = [None if size is None else int(size) for size in value.shape]
    return {"shape": str(shape), "dtype": str(value.dtype), "sha256": array_digest(value)}


def array_digest(value: Any, hashed_bytes: int = HASHED_BYTES) -> str | None:
    """SHA-256 of an array's values, or of `SAMPLED_ROWS` of its samples where it is larger; None: they are objects."""
    try:
        array = np.asarray(value)
        if array.dtype.hasobject:
            return None
        if array.nbytes > hashed_bytes:
            array = array[np.linspace(0, len(array) - 1, SAMPLED_ROWS).astype(np.int64)]
        return hashlib.sha256(raw_bytes(_ordered(array))).hexdigest()
    except (TypeError, ValueError):
        return None


def _ordered(array: Array) -> Array:
    return little_endian(np.ascontiguousarray(array))

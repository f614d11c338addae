"""The layers of a model that prepare its input: preprocessing, and augmentation in training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from archiver.records.base import Json
from archiver.records.training import Preprocessing, PreprocessingLayer
from archiver.storage.bounding import bounded
from archiver.storage.jsonable import qualified_name
from archiver.training.reading import or_reason
from archiver.training.seed_generators import draws


def preprocessing(model: Any, description: Json, data_sets: dict[str, Json]) -> Preprocessing:
    """What the user and the data sets said of the preprocessing, and the layers of the model that do some."""
    found = [_part(layer, path) for layer, path in walk(model) if _prepares(layer)]
    return Preprocessing(description=description, layers=tuple(found), data_sets=data_sets)


def walk(layer: Any, path: str = "", seen: set[int] | None = None) -> Iterator[tuple[Any, str]]:
    """(layer, path of names) for every layer below `layer`, each once, in the order of the data's way; a model's
    layers come behind it."""
    seen = set() if seen is None else seen
    for each in _below(layer):
        if id(each) in seen:
            continue
        seen.add(id(each))
        own = f"{path}/{each.name}" if path else str(each.name)
        yield each, own
        yield from walk(each, own, seen)


def _below(layer: Any) -> list[Any]:
    """The layers directly below: of a model in the order in which data pass them, else in that of their making."""
    below = list(layer._flatten_layers(include_self=False, recursive=False))  # noqa: SLF001 - no public walk
    ordered = list(layer.layers) if isinstance(layer, keras.Model) or hasattr(type(layer), "layers") else []
    return [each for each in [*ordered, *below] if isinstance(each, keras.layers.Layer)]


def _prepares(layer: Any) -> bool:
    return any(".preprocessing." in each.__module__ for each in type(layer).__mro__)


def _part(layer: Any, path: str) -> PreprocessingLayer:
    augments = draws(layer) or any(draws(below) for below, _ in walk(layer))
    return PreprocessingLayer(
        name=str(layer.name),
        path=path,
        class_name=qualified_name(type(layer)),
        kind="augmentation" if augments else "preprocessing",
        config=bounded(or_reason(layer.get_config)),
        learned=bounded(or_reason(lambda: _learned(layer))),
    )


def _learned(layer: Any) -> Any:
    """What `adapt` found, as plain lists."""
    if isinstance(layer, keras.layers.Normalization):
        return _statistics(layer)
    if isinstance(layer, keras.layers.Discretization):
        return {"bin_boundaries": list(layer.bin_boundaries)} if layer.bin_boundaries is not None else None
    if hasattr(layer, "get_vocabulary"):
        words = [str(word) for word in layer.get_vocabulary()]
        return {"vocabulary": words}
    return None


def _statistics(layer: Any) -> Any:
    mean, variance = getattr(layer, "mean", None), getattr(layer, "variance", None)
    if mean is None or variance is None:
        return None
    return {name: np.ravel(_array(value)).tolist() for name, value in (("mean", mean), ("variance", variance))}


def _array(value: Any) -> Any:
    return value.numpy() if hasattr(value, "numpy") else np.asarray(keras.ops.convert_to_numpy(value))

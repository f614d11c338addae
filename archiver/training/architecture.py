"""The architecture of a live model as a record."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import keras

from archiver.archive.failures import exception_part
from archiver.collect.redaction import redact_json
from archiver.records.base import Json, Unavailable
from archiver.records.model import LayerPart, ModelConfig, ParameterCounts
from archiver.storage.dtypes import dtype_bytes
from archiver.storage.jsonable import jsonable, qualified_name
from archiver.storage.keras_config import find_code
from archiver.training.flops import Flops, count_flops, functional_graph
from archiver.training.names import Names, names_of
from archiver.training.shapes import graph_nodes, layer_shapes, model_shapes

SUMMARY_WIDTH = 100
MAXIMAL_SUMMARY_LENGTH = 1_000_000
MAXIMAL_LAYERS = 10_000
MAXIMAL_LAYER_CONFIG_LENGTH = 20_000
MAXIMAL_MODEL_CONFIG_LENGTH = 20_000_000
"""Lengths of texts; what is longer is left out with a word, and stands whole in the `.keras` file."""
_MAXIMAL_DEPTH = 40


def model_config(model: Any) -> ModelConfig:
    """The architecture of a model, built or not."""
    names, flops = names_of(model), count_flops(model)
    config = _plain(lambda: keras.saving.serialize_keras_object(model), MAXIMAL_MODEL_CONFIG_LENGTH)
    inputs, outputs = _shapes(lambda: model_shapes(model))
    found = _Walk(names, flops).layers(model, 0, config)
    layers = tuple(islice(found, MAXIMAL_LAYERS))
    return ModelConfig(
        name=names.clean(str(model.name)),
        class_name=qualified_name(type(model)),
        parameters=_if_built(model, parameter_counts),
        weights_bytes=_if_built(model, weights_bytes),
        input_shape=inputs,
        output_shape=outputs,
        flops=flops.part() if model.built else Unavailable(unavailable=_NOT_BUILT),
        layer_count=len(getattr(model, "layers", ())),
        dtype_policy=_policy_name(model),
        built=bool(model.built),
        needs_trust=tuple(find_code(config)),
        summary=_summary(model, names),
        layers=layers,
        layers_left_out=sum(1 for _ in found),
        config=config,
    )


_NOT_BUILT = "the model is not built yet"


def _if_built(model: Any, function: Callable[[Any], Any]) -> Any:
    return function(model) if model.built else Unavailable(unavailable=_NOT_BUILT)


def parameter_counts(layer: Any) -> ParameterCounts:
    """Numbers in the variables of a layer or model, seed generators not counted."""
    trainable = sum(math.prod(variable.shape) for variable in layer.trainable_weights)
    total = sum(math.prod(variable.shape) for variable in layer.weights)
    return ParameterCounts(total=total, trainable=trainable, non_trainable=total - trainable)


def weights_bytes(model: Any) -> int:
    """What the weights take in memory; types of less than a byte take one."""
    return sum(math.prod(each.shape) * dtype_bytes(str(each.dtype)) for each in model.weights)


@dataclass(frozen=True)
class _Walk:
    """Goes through the layers of a model, and through those inside them."""

    names: Names
    flops: Flops

    def layers(self, parent: Any, depth: int, config: Json) -> Iterator[LayerPart]:
        """The layers inside `parent`, whose serialised form is `config`, and after each those inside it."""
        nodes, known = graph_nodes(functional_graph(parent)), _configs_by_name(config)
        for layer in _layers_of(parent):
            inner = _layers_of(layer) if depth < _MAXIMAL_DEPTH else []
            serialised = known.get(str(layer.name))
            yield self._layer(layer, depth, nodes, self._config(layer, serialised, is_nested=bool(inner)))
            if inner:
                yield from self.layers(layer, depth + 1, serialised)

    def _config(self, layer: Any, serialised: Json, *, is_nested: bool) -> Json:
        if isinstance(layer, keras.Model) and is_nested:
            return {"unavailable": "its layers follow one by one; the whole stands in the model's config"}
        if serialised is None:
            return _plain(layer.get_config, MAXIMAL_LAYER_CONFIG_LENGTH)
        return _bounded(serialised["config"], MAXIMAL_LAYER_CONFIG_LENGTH)

    def _layer(self, layer: Any, depth: int, nodes: set[int] | None, config: Json) -> LayerPart:
        inputs, outputs = _shapes(lambda: layer_shapes(layer, nodes))
        not_counted = Unavailable(unavailable="Keras does not tell how often it is called")
        return LayerPart(
            name=self.names.clean(str(layer.name)),
            class_name=qualified_name(type(layer)),
            depth=depth,
            input_shape=inputs,
            output_shape=outputs,
            parameters=parameter_counts(layer),
            flops_per_sample=self.flops.by_layer.get(id(layer), 0 if _is_input(layer) else not_counted),
            trainable=bool(layer.trainable),
            dtype_policy=_policy_name(layer),
            config=config,
        )


def _configs_by_name(config: Json) -> dict[str, Json]:
    """The serialised forms of a model's layers in that of the model: serialising takes long, and has been done."""
    inner = config.get("config") if isinstance(config, dict) else None
    layers = inner.get("layers") if isinstance(inner, dict) else None
    found = {}
    for each in layers if isinstance(layers, list) else ():
        own = each.get("config") if isinstance(each, dict) else None
        if isinstance(own, dict) and isinstance(own.get("name"), str):
            found[own["name"]] = each
    return found


def _is_input(layer: Any) -> bool:
    return isinstance(layer, keras.layers.InputLayer)


def _layers_of(layer: Any) -> list[Any]:
    """The layers directly inside a model or layer, each once."""
    if isinstance(layer, keras.Model):
        found = getattr(layer, "layers", ())
    else:
        found = layer._flatten_layers(include_self=False, recursive=False)  # noqa: SLF001 - Keras has no public walk
    return list({id(each): each for each in found}.values())


def _shapes(function: Callable[[], tuple[Json, Json]]) -> tuple[Json, Json]:
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - a layer of the user's own may do anything
        reason = _reason(error)
        return reason, reason


def _plain(function: Callable[[], Any], maximal_length: int) -> Json:
    """The value as plain JSON with secrets removed, or an `unavailable` object with the reason."""
    try:
        return _bounded(redact_json(jsonable(function())), maximal_length)
    except Exception as error:  # noqa: BLE001 - a user's `get_config` may raise anything
        return _reason(error)


def _bounded(value: Json, maximal_length: int) -> Json:
    length = len(json.dumps(value))
    if length <= maximal_length:
        return value
    return {"unavailable": f"left out to bound the record: {length:,} characters; it stands in the .keras file"}


def _reason(error: Exception) -> Json:
    part = exception_part(error)
    return {"unavailable": f"{part.type}: {part.message[:500]}"}


def _policy_name(layer: Any) -> str | None:
    policy = getattr(layer, "dtype_policy", None)
    return str(policy.name) if policy is not None else None


def _summary(model: Any, names: Names) -> str | Unavailable:
    if names.secrets:
        return Unavailable(unavailable="the name of a layer holds what looks like a secret")
    lines: list[str] = []
    try:
        model.summary(print_fn=lambda line, **_: lines.append(str(line)), line_length=SUMMARY_WIDTH, expand_nested=True)
    except Exception as error:  # noqa: BLE001 - an unbuilt or unusual model
        return Unavailable(unavailable=_reason(error)["unavailable"])
    text = "\n".join(lines)
    if len(text) > MAXIMAL_SUMMARY_LENGTH:
        text = f"{text[:MAXIMAL_SUMMARY_LENGTH]}\n... {len(text) - MAXIMAL_SUMMARY_LENGTH:,} characters more"
    return text

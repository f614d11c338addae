"""What differs in the architecture. Keras numbers the names of layers within a process: they are compared by place."""

from __future__ import annotations

from typing import Any

from archiver.comparison.differences import Found, Rank
from archiver.comparison.facts import Facts, Topic, differing, digest_of, fact, flat, known, reason_of
from archiver.records.model import LayerPart, ModelConfig

_ARCHITECTURE = Topic("configuration", Rank.CONFIGURATION, "another model")
_SEED = Topic("seeds", Rank.SEED, "decides what the layer draws")
_FOLLOWING = Topic("configuration", Rank.FOLLOWING, "follows from the layers")
_CONNECTIONS = _ARCHITECTURE.about("the same layers are connected in another way")
_NAMES = frozenset({"name", "module", "registered_name", "shared_object_id", "build_config", "trainable"})
_OF_MODELS = frozenset({"layers", "input_layers", "output_layers"})
_NOT_CONNECTIONS = frozenset({"name", "shared_object_id", "compile_config", "build_config"})
_OBJECT = frozenset({"class_name", "config"})
MAXIMAL_DEPTH = 12


def causes_in_model(before: ModelConfig, after: ModelConfig) -> Found:
    """Layer by layer, and how they are connected."""
    found = list(differing("model_config", _facts(before), _facts(after)))
    yield from found
    if not found:
        connections = (
            (fact(_CONNECTIONS, "connections of the layers", _connections(each)),) for each in (before, after)
        )
        yield from differing("model_config", *connections)


def _facts(record: ModelConfig) -> Facts:
    yield fact(_ARCHITECTURE, "model", record.class_name.rsplit(".", 1)[-1], "class_name")
    parameters = known(record.parameters)
    yield fact(_FOLLOWING, "parameters", None if parameters is None else parameters.total, "parameters", "total")
    yield fact(_ARCHITECTURE, "layers", record.layer_count, "layer_count")
    for place, layer in enumerate(record.layers):
        yield from _layer(place, layer)


def _layer(place: int, layer: LayerPart) -> Facts:
    subject, at = f"layer {place + 1}", ("layers", place)
    yield fact(_ARCHITECTURE, subject, layer.class_name.rsplit(".", 1)[-1], *at, "class_name")
    frozen = _ARCHITECTURE.about("whether the layer is trained")
    yield fact(frozen, f"{subject}.trainable", layer.trainable, *at, "trainable")
    config = layer.config if isinstance(layer.config, dict) and reason_of(layer.config) is None else {}
    for key, value in config.items():
        if key not in _NAMES | _OF_MODELS:
            for each in flat(_ARCHITECTURE, f"{subject}.{key}", _without_names(value), *at, "config", key):
                is_seed = each.subject.endswith("seed")
                yield fact(_SEED, each.subject, each.value, *at, "config", key) if is_seed else each


def _without_names(value: Any) -> Any:
    """Keras' way to write an object, with its class and its own settings only."""
    if isinstance(value, dict) and set(value) >= _OBJECT:
        config = value["config"]
        inside = {"": config} if not isinstance(config, dict) else {k: _without_names(v) for k, v in config.items()}
        return {"class": value["class_name"], **inside}
    if isinstance(value, list):
        return [_without_names(item) for item in value]
    return value


def _connections(record: ModelConfig) -> str:
    """A digest of the model's configuration in which layers are called by their places."""
    places = {layer.name: f"layer {place}" for place, layer in enumerate(record.layers)}
    config = record.config.get("config") if isinstance(record.config, dict) else None  # beside it: how it was compiled
    return digest_of(_placed(config, places, 0))


def _placed(value: Any, places: dict[str, str], depth: int) -> Any:
    if depth > MAXIMAL_DEPTH:
        return None
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key not in _NOT_CONNECTIONS}
        return {key: _placed(item, places, depth + 1) for key, item in kept.items()}
    if isinstance(value, list):
        return [_placed(item, places, depth + 1) for item in value]
    return places.get(value, value) if isinstance(value, str) else value

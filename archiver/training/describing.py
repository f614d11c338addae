"""A live model as a record."""

from __future__ import annotations

from typing import Any

import keras

from archiver.records.base import Unavailable
from archiver.records.model import LayerPart, ModelConfig, ParameterCounts
from archiver.storage.jsonable import qualified_name
from archiver.storage.keras_config import find_code
from archiver.training.reading import or_reason


def model_config(model: Any) -> ModelConfig:
    """The architecture of a model, built or not."""
    config = or_reason(lambda: keras.saving.serialize_keras_object(model))
    return ModelConfig(
        name=str(model.name),
        class_name=qualified_name(type(model)),
        built=bool(model.built),
        config=config,
        input_shape=or_reason(lambda: model.input_shape),
        output_shape=or_reason(lambda: model.output_shape),
        dtype_policy=_policy_name(model),
        parameters=_model_parameters(model),
        layers=tuple(_layers(model, 0)),
        summary=_summary(model),
        needs_trust=tuple(find_code(config)),
    )


def _model_parameters(model: Any) -> ParameterCounts | Unavailable:
    if not model.built:
        return Unavailable(unavailable="the model is not built yet")
    return parameter_counts(model)


def parameter_counts(layer: Any) -> ParameterCounts:
    """Numbers in the variables of a layer or model, seed generators not counted."""
    trainable = sum(_size(variable) for variable in layer.trainable_weights)
    total = sum(_size(variable) for variable in layer.weights)
    return ParameterCounts(total=total, trainable=trainable, non_trainable=total - trainable)


def _size(variable: Any) -> int:
    size = 1
    for length in variable.shape:
        size *= int(length)
    return size


def _layers(model: Any, depth: int) -> list[LayerPart]:
    parts: list[LayerPart] = []
    for layer in getattr(model, "layers", ()):
        parts.append(_layer(layer, depth))
        if isinstance(layer, keras.Model):
            parts += _layers(layer, depth + 1)
    return parts


def _layer(layer: Any, depth: int) -> LayerPart:
    return LayerPart(
        name=str(layer.name),
        class_name=qualified_name(type(layer)),
        depth=depth,
        config=or_reason(layer.get_config),
        input_shape=or_reason(lambda: layer.input.shape if hasattr(layer.input, "shape") else layer.input_shape),
        output_shape=or_reason(lambda: layer.output.shape if hasattr(layer.output, "shape") else layer.output_shape),
        dtype_policy=_policy_name(layer),
        trainable=bool(layer.trainable),
        parameters=parameter_counts(layer),
    )


def _policy_name(layer: Any) -> str | None:
    policy = getattr(layer, "dtype_policy", None)
    return str(policy.name) if policy is not None else None


def _summary(model: Any) -> str | Unavailable:
    lines: list[str] = []
    try:
        model.summary(print_fn=lambda line, **_: lines.append(str(line)), line_length=100, expand_nested=True)
    except Exception as error:  # noqa: BLE001 - an unbuilt or unusual model
        return Unavailable(unavailable=f"{type(error).__name__}: {str(error)[:500]}")
    return "\n".join(lines)

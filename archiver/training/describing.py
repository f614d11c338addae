"""A call of `fit` as records."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Literal

import keras

from archiver.collect.redaction import redact_json
from archiver.records.base import Json, Unavailable
from archiver.records.training import (
    CallbackPart,
    PhaseConfig,
    PhaseOptimizer,
    Preprocessing,
    PreprocessingLayer,
    ValidationPart,
)
from archiver.storage.jsonable import jsonable, qualified_name
from archiver.training.capture import FitCall
from archiver.training.datasets import data_kind
from archiver.training.seeding import last_seed

_DATA_ARGUMENTS = ("x", "y", "sample_weight", "validation_data")


def or_reason(function: Callable[[], Any]) -> Any:
    """The value as plain JSON with secrets removed, or an `unavailable` object with the reason."""
    try:
        return redact_json(jsonable(function()))
    except Exception as error:  # noqa: BLE001 - a user's `get_config` may raise anything
        return {"unavailable": f"{type(error).__name__}: {str(error)[:500]}"}


def phase_config(model: Any, call: FitCall, phase: int, callbacks: list[Any], hyperparameters: Json) -> PhaseConfig:
    """The configuration of one call of `fit`."""
    known = call.given | call.resolved
    return PhaseConfig(
        phase=phase,
        capture=call.method,
        capture_note=call.note,
        fit_arguments={name: _argument(name, value) for name, value in call.given.items() if name != "callbacks"},
        batch_size=_whole(known.get("batch_size")) or _default_batch_size(known),
        epochs=_whole(known.get("epochs")),
        initial_epoch=_whole(known.get("initial_epoch")),
        steps_per_epoch=_whole(known.get("steps_per_epoch"))
        or _whole(getattr(call.epoch_iterator, "num_batches", None)),
        shuffle=jsonable(known.get("shuffle")),
        class_weight=jsonable(known.get("class_weight")),
        validation=_validation(call, known),
        loss=or_reason(lambda: _serialised(model.loss)),
        loss_weights=or_reason(lambda: getattr(getattr(model, "_compile_loss", None), "_loss_weights", None)),
        metrics=or_reason(lambda: _compile_arguments(model).get("metrics")),
        jit_compile=jsonable(getattr(model, "jit_compile", None)),
        run_eagerly=bool(getattr(model, "run_eagerly", False)),
        steps_per_execution=_whole(getattr(model, "steps_per_execution", None)),
        callbacks=tuple(
            CallbackPart(class_name=qualified_name(type(each)), config=_attributes(each)) for each in callbacks
        ),
        seed=last_seed(),
        hyperparameters=hyperparameters,
    )


def _whole(value: Any) -> int | None:
    if value is None or isinstance(value, bool):
        return None
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        return int(value)
    return None


def _default_batch_size(known: dict[str, Any]) -> int | None:
    return 32 if data_kind(known.get("x")) == "arrays" else None


def _argument(name: str, value: Any) -> Json:
    if name not in _DATA_ARGUMENTS:
        return redact_json(jsonable(value))
    return _shapes(value)


def _shapes(value: Any) -> Json:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return {"array": {"shape": [int(size) for size in value.shape], "dtype": str(value.dtype)}}
    if isinstance(value, dict):
        return {str(key): _shapes(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shapes(item) for item in value]
    return None if value is None else {"object": qualified_name(type(value))}


def _validation(call: FitCall, known: dict[str, Any]) -> ValidationPart | Unavailable:
    if not known:
        return Unavailable(unavailable=call.note or "the arguments of fit are not known")
    split = known.get("validation_split")
    source: Literal["none", "validation_data", "validation_split"] = "validation_split" if split else "validation_data"
    if not split and known.get("validation_data") is None:
        source = "none"
    return ValidationPart(
        source=source,
        split=float(split) if split else None,
        batch_size=_whole(known.get("validation_batch_size")),
        steps=_whole(known.get("validation_steps")),
        frequency=jsonable(known.get("validation_freq", 1)),
    )


def _serialised(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _serialised(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_serialised(item) for item in value]
    return value if value is None or isinstance(value, str) else keras.saving.serialize_keras_object(value)


def _compile_arguments(model: Any) -> dict[str, Any]:
    return {
        "metrics": _serialised(getattr(getattr(model, "_compile_metrics", None), "_user_metrics", None)),
    }


def _attributes(callback: Any) -> Json:
    plain = {
        name: value
        for name, value in vars(callback).items()
        if not name.startswith("_")
        and name not in ("params", "model")
        and (value is None or isinstance(value, bool | int | float | str))
    }
    return redact_json(jsonable(plain))


def phase_optimizer(model: Any, phase: int) -> PhaseOptimizer:
    """The optimizer at the beginning of a phase."""
    optimizer: Any = getattr(model, "optimizer", None)
    return PhaseOptimizer(
        phase=phase,
        class_name=None if optimizer is None else qualified_name(type(optimizer)),
        config=or_reason(optimizer.get_config) if optimizer is not None else None,
        learning_rate=_number(lambda: float(optimizer.learning_rate)),
        iterations=_number(lambda: int(optimizer.iterations)),
    )


def _number(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - an optimizer of the user's own
        return Unavailable(unavailable=f"{type(error).__name__}: {str(error)[:200]}")


def preprocessing(model: Any, description: Json) -> Preprocessing:
    """What the user said of the preprocessing, and the layers of the model that do some."""
    found = [
        PreprocessingLayer(name=layer.name, class_name=qualified_name(type(layer)), config=or_reason(layer.get_config))
        for layer in model._flatten_layers(include_self=False, recursive=True)  # noqa: SLF001 - no public walk
        if ".preprocessing." in type(layer).__module__
    ]
    return Preprocessing(description=description, layers=tuple(found))

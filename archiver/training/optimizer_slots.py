"""Bytes of the variables that an optimizer would make for a model, without making them."""

from __future__ import annotations

from typing import Any

import keras

from archiver.errors import ArgumentError
from archiver.training.optimizers import variable_bytes


def optimizer_slots_bytes(model: Any, optimizer: Any) -> int:
    """All variables of an optimizer, with its counters, as Keras would make them for the model.

    A copy of the optimizer is built in a `StatelessScope`, where variables have shapes and no values.

    Args:
        model: a built model.
        optimizer: a name, an instance, or None: the one that the model was compiled with.

    Raises:
        ArgumentError: there is no such optimizer, none was given and the model is not compiled, or it cannot be built
            without values (Adafactor).
    """
    if optimizer is None:
        optimizer = getattr(model, "optimizer", None)
        if optimizer is None:
            raise ArgumentError(
                "Received no optimizer and a model that is not compiled. Expected optimizer='adam', an instance, or a "
                "compiled model."
            )
    copy = _copy(optimizer)
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer) and isinstance(optimizer, str):
        # compile() wraps it so.
        copy = keras.optimizers.LossScaleOptimizer(copy) if _scales_loss(model) else copy
    return _built_bytes(copy, model.trainable_variables)


def _copy(optimizer: Any) -> Any:
    try:
        if isinstance(optimizer, str):
            return keras.optimizers.get(optimizer)
        return type(optimizer).from_config(optimizer.get_config())
    except (ValueError, TypeError, AttributeError, NotImplementedError) as error:
        raise ArgumentError(
            f"Received optimizer {optimizer!r}. Expected the name of a Keras optimizer or an instance that can be made "
            f"anew from its configuration. {type(error).__name__}: {error}"
        ) from error


def _scales_loss(model: Any) -> bool:
    return bool(getattr(model.dtype_policy, "name", "") == "mixed_float16")


def _built_bytes(optimizer: Any, variables: list[Any]) -> int:
    from keras.src.backend.common import global_state

    # Keras would give these variables values when the next scope ends; they are not meant to have any.
    name = "uninitialized_variables"
    waiting = list(global_state.get_global_attribute(name) or [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            optimizer.build(variables)
    except ValueError as error:
        raise ArgumentError(
            f"Received optimizer {type(optimizer).__name__}, which gives its variables values while they are made, so "
            f"that they cannot be counted beforehand. Expected one that does not, such as 'adam'. Keras says: {error}"
        ) from error
    finally:
        global_state.set_global_attribute(name, waiting)
    return sum(variable_bytes(each) for each in optimizer.variables)

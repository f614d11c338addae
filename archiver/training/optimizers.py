"""The optimizer of a call of `fit` as a record: what it is, what it is set to, where it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from archiver.records.base import Unavailable
from archiver.records.training import (
    ClippingPart,
    LossScalingPart,
    MovingAveragePart,
    OptimizerVariablesPart,
    PhaseOptimizer,
    SchedulePart,
)
from archiver.storage.bounding import bounded
from archiver.storage.jsonable import qualified_name
from archiver.training.reading import known, or_reason
from archiver.training.weights import optimizer_variables

_NO_OPTIMIZER = Unavailable(unavailable="the model has no optimizer")


def phase_optimizer(model: Any, phase: int) -> PhaseOptimizer:
    """The optimizer at the beginning of a phase."""
    optimizer: Any = getattr(model, "optimizer", None)
    if optimizer is None:
        return _without_optimizer(phase)
    inner = innermost(optimizer)
    return PhaseOptimizer(
        phase=phase,
        class_name=qualified_name(type(optimizer)),
        name=str(getattr(optimizer, "name", "")) or None,
        config=bounded(or_reason(optimizer.get_config)),
        learning_rate=known(lambda: float(optimizer.learning_rate)),
        schedule=known(lambda: _schedule(inner)),
        iterations=known(lambda: int(optimizer.iterations)),
        weight_decay=_setting(inner, "weight_decay", float),
        gradient_clipping=known(lambda: _clipping(inner)),
        moving_average=known(lambda: _moving_average(inner)),
        gradient_accumulation_steps=_setting(inner, "gradient_accumulation_steps", int),
        loss_scale_factor=_setting(inner, "loss_scale_factor", float),
        loss_scaling=known(lambda: _loss_scaling(optimizer)),
        variables=optimizer_size(model),
    )


def _without_optimizer(phase: int) -> PhaseOptimizer:
    fields = (
        "learning_rate", "schedule", "iterations", "weight_decay", "gradient_clipping", "moving_average",
        "gradient_accumulation_steps", "loss_scale_factor", "loss_scaling", "variables",
    )  # fmt: skip
    nothing: Any = dict.fromkeys(fields, _NO_OPTIMIZER)
    return PhaseOptimizer(phase=phase, class_name=None, config=None, **nothing)


def innermost(optimizer: Any) -> Any:
    """The optimizer inside its wrappers."""
    while isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    return optimizer


def _setting(optimizer: Any, name: str, kind: Callable[[Any], Any]) -> Any:
    def read() -> Any:
        value = getattr(optimizer, name)
        return None if value is None else kind(value)

    return known(read)


def _schedule(optimizer: Any) -> SchedulePart | None:
    rate = optimizer._learning_rate  # noqa: SLF001 - the property gives the rate of the step, not the schedule
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return SchedulePart(class_name=qualified_name(type(rate)), config=bounded(or_reason(rate.get_config)))
    if callable(rate) and not hasattr(rate, "assign"):
        return SchedulePart(class_name=qualified_name(rate), config=None)
    return None


def _clipping(optimizer: Any) -> ClippingPart:
    names = ("clipnorm", "clipvalue", "global_clipnorm")
    values = {name: getattr(optimizer, name) for name in names}
    return ClippingPart(**{name: None if value is None else float(value) for name, value in values.items()})


def _moving_average(optimizer: Any) -> MovingAveragePart | None:
    if not optimizer.use_ema:
        return None
    frequency = optimizer.ema_overwrite_frequency
    return MovingAveragePart(
        momentum=float(optimizer.ema_momentum), overwrite_frequency=None if frequency is None else int(frequency)
    )


def _loss_scaling(optimizer: Any) -> LossScalingPart | None:
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return None
    return LossScalingPart(
        class_name=qualified_name(type(optimizer)),
        initial_scale=known(lambda: float(optimizer.initial_scale)),
        current_scale=known(lambda: float(optimizer.dynamic_scale if optimizer.built else optimizer.initial_scale)),
        growth_steps=known(lambda: int(optimizer.dynamic_growth_steps)),
    )


def optimizer_size(model: Any) -> OptimizerVariablesPart | Unavailable:
    """Number and bytes of the optimizer's variables, where they are made."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return _NO_OPTIMIZER
    if not getattr(optimizer, "built", True):
        return Unavailable(unavailable="Keras makes them in the first step; the first epoch had not ended")
    return known(lambda: _size(optimizer_variables(model)))  # type: ignore[no-any-return]


def _size(variables: list[Any]) -> OptimizerVariablesPart:
    return OptimizerVariablesPart(count=len(variables), bytes=sum(variable_bytes(each) for each in variables))


def variable_bytes(variable: Any) -> int:
    """Bytes of the values of a variable."""
    size = keras.backend.standardize_dtype(variable.dtype)
    count = 1
    for length in variable.shape:
        count *= int(length)
    return count * _ITEM_BYTES[size] if size in _ITEM_BYTES else count * int(variable.numpy().dtype.itemsize)


_ITEM_BYTES = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8,
}  # fmt: skip

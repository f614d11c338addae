"""What `compile` was given, and what Keras made of it: losses, metrics, XLA, precision, distribution."""

from __future__ import annotations

from typing import Any

import keras

from archiver.records.base import Json, Unavailable
from archiver.records.training import DistributionPart, DtypePoliciesPart, JitPart, LossPart, MetricPart
from archiver.storage.bounding import bounded
from archiver.storage.jsonable import qualified_name
from archiver.training.reading import known, or_reason
from archiver.training.tensorflow_state import op_determinism
from archiver.training.workers import distribution_in_force

_FIRST_STEP = Unavailable(unavailable="Keras resolves it in the first step; the first epoch had not ended")


def as_given(value: Any) -> Json:
    """A loss, a metric or a structure of them: names as they are, objects by class and config, functions by name."""
    if isinstance(value, dict):
        return bounded({str(key): as_given(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return bounded([as_given(item) for item in value])
    if hasattr(value, "get_config") and not isinstance(value, type):
        return {"class_name": qualified_name(type(value)), "config": bounded(or_reason(value.get_config))}
    return bounded(or_reason(lambda: value))


def _compiled(model: Any, holder: str, attribute: str) -> Json:
    return as_given(getattr(getattr(model, holder, None), attribute, None))


def loss(model: Any) -> Json:
    """The loss as given."""
    return as_given(getattr(model, "loss", None))


def loss_weights(model: Any) -> Json:
    """The weights of the outputs' losses as given."""
    return _compiled(model, "_compile_loss", "_user_loss_weights")


def metrics(model: Any) -> Json:
    """The metrics as given."""
    return _compiled(model, "_compile_metrics", "_user_metrics")


def weighted_metrics(model: Any) -> Json:
    """The weighted metrics as given."""
    return _compiled(model, "_compile_metrics", "_user_weighted_metrics")


def resolved_losses(model: Any) -> tuple[LossPart, ...] | Unavailable:
    """The losses as Keras resolved them, by output."""
    compiled = getattr(model, "_compile_loss", None)
    if compiled is None:
        return ()
    if not compiled.built:
        return _FIRST_STEP
    return known(lambda: tuple(_loss(part) for part in compiled._flat_losses))  # type: ignore[no-any-return]  # noqa: SLF001


def _loss(part: Any) -> LossPart:
    return LossPart(
        output=str(part.name),
        class_name=qualified_name(type(part.loss)),
        config=bounded(or_reason(part.loss.get_config)),
        weight=None if part.loss_weights is None else known(lambda: float(part.loss_weights)),
    )


def resolved_metrics(model: Any) -> tuple[MetricPart, ...] | Unavailable:
    """The metrics as Keras resolved them, those without weights first."""
    compiled = getattr(model, "_compile_metrics", None)
    if compiled is None:
        return ()
    if not compiled.built:
        return _FIRST_STEP
    return known(lambda: tuple(_metrics(compiled)))  # type: ignore[no-any-return]


def _metrics(compiled: Any) -> list[MetricPart]:
    parts = []
    for weighted, groups in ((False, compiled._flat_metrics), (True, compiled._flat_weighted_metrics)):  # noqa: SLF001
        for group in groups:
            output = getattr(group, "output_name", None)
            parts += [_metric(each, output, weighted) for each in getattr(group, "metrics", None) or []]
    return parts


def _metric(metric: Any, output: Any, weighted: bool) -> MetricPart:
    return MetricPart(
        name=str(metric.name),
        class_name=qualified_name(type(metric)),
        config=bounded(or_reason(metric.get_config)),
        output=None if output is None else str(output),
        weighted=weighted,
    )


def jit(model: Any) -> JitPart:
    """Whether the step is compiled by XLA, and why not."""
    resolved = getattr(model, "_jit_compile", None)
    if resolved is None:
        unknown = Unavailable(unavailable="the model was not compiled")
        return JitPart(resolved=unknown, given=unknown.model_dump(), reason=None)
    given = {"unavailable": "Keras keeps only what it made of it"}
    reason = None if resolved else known(lambda: why_not_compiled(model))
    return JitPart(resolved=bool(resolved), given=given, reason=reason if isinstance(reason, str) else None)


def why_not_compiled(model: Any) -> str | None:
    """Why Keras' `jit_compile="auto"` comes to False; None where it would come to True, so that it was asked for."""
    backend = keras.backend.backend()
    if getattr(model, "run_eagerly", False):
        return "run_eagerly is on"
    if backend == "torch":
        return "with torch, auto means off"
    unable = [layer.name for layer in model._flatten_layers() if not layer.supports_jit]  # noqa: SLF001
    if unable:
        return f"XLA does not support the layer {unable[0]!r}" + (f" and {len(unable) - 1} more" if unable[1:] else "")
    if backend == "tensorflow":
        return _why_not_on_tensorflow(model)
    return None


def _why_not_on_tensorflow(model: Any) -> str | None:
    import tensorflow as tf

    if op_determinism():
        return "op determinism is on: Keras then turns XLA off"
    if all(device.device_type == "CPU" for device in tf.config.list_physical_devices()):
        return "there are no devices but CPUs: auto means off"
    if getattr(model, "_distribute_strategy", None):
        return "the model trains under a distribution strategy: auto means off"
    return None


def auto_scale_loss(model: Any) -> bool | Unavailable:
    """Keras does not keep the argument; where it had to show, it is seen."""
    from_policy = known(lambda: model.dtype_policy.name == "mixed_float16")
    if from_policy is True and not isinstance(getattr(model, "optimizer", None), _loss_scale_optimizer()):
        return False
    return Unavailable(unavailable="Keras does not keep it; whether the loss is scaled stands in the optimizer config")


def _loss_scale_optimizer() -> Any:
    return keras.optimizers.LossScaleOptimizer


def dtype_policies(model: Any) -> DtypePoliciesPart:
    """The precision of the model, and Keras' global one."""
    return DtypePoliciesPart(
        model=known(lambda: str(model.dtype_policy.name)),
        keras_global=known(lambda: str(keras.config.dtype_policy().name)),
        mixed_precision=known(lambda: bool(_is_mixed(model))),
    )


def _is_mixed(model: Any) -> bool:
    policies = [model.dtype_policy, *(layer.dtype_policy for layer in model._flatten_layers())]  # noqa: SLF001
    return any(policy.compute_dtype != policy.variable_dtype for policy in policies)


def distribution(model: Any) -> DistributionPart | None:
    """How training is spread over devices; None for one device."""
    chosen = distribution_in_force()
    if chosen is not None:
        mesh = or_reason(lambda: {"shape": list(chosen.device_mesh.shape), "axes": chosen.device_mesh.axis_names})
        return DistributionPart(
            class_name=qualified_name(type(chosen)),
            replicas=known(lambda: int(chosen.device_mesh.devices.size)),
            details=mesh,
        )
    strategy = getattr(model, "_distribute_strategy", None)
    if strategy is None:
        return None
    return DistributionPart(
        class_name=qualified_name(type(strategy)),
        replicas=known(lambda: int(strategy.num_replicas_in_sync)),
        details=or_reason(lambda: {"workers": list(strategy.extended.worker_devices)}),
    )

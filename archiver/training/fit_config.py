"""The configuration of one call of `fit`: at its beginning, and what is known only once steps were made."""

from __future__ import annotations

from typing import Any

from archiver.records.base import Json
from archiver.records.training import PhaseConfig, PhaseOptimizer
from archiver.storage.bounding import bounded
from archiver.storage.jsonable import jsonable
from archiver.training import compilation
from archiver.training.callbacks_config import callback_parts
from archiver.training.capture import FitCall
from archiver.training.determinism import determinism
from archiver.training.fit_arguments import (
    batch_size,
    given_arguments,
    resolved_arguments,
    sample_weight_given,
    steps_per_epoch,
    validation,
)
from archiver.training.optimizers import optimizer_size
from archiver.training.reading import count_or, known, whole
from archiver.training.seeding import last_seed


def phase_config(model: Any, call: FitCall, phase: int, callbacks: list[Any], hyperparameters: Json) -> PhaseConfig:
    """The configuration of one call of `fit`, as far as it is known before the first step."""
    arguments = call.given | call.resolved
    not_known = call.note or "the argument is not known"
    return PhaseConfig(
        phase=phase,
        capture=call.method,
        capture_note=call.note,
        fit_arguments=given_arguments(call),
        resolved_arguments=resolved_arguments(call),
        batch_size=batch_size(call),
        epochs=count_or(arguments.get("epochs"), not_known),
        initial_epoch=count_or(arguments.get("initial_epoch"), not_known),
        steps_per_epoch=steps_per_epoch(call),
        shuffle=jsonable(arguments.get("shuffle")),
        class_weight=bounded(jsonable(arguments.get("class_weight"))),
        sample_weight_given=sample_weight_given(call),
        validation=validation(call),
        loss=compilation.loss(model),
        losses=compilation.resolved_losses(model),
        loss_weights=compilation.loss_weights(model),
        metrics=compilation.metrics(model),
        weighted_metrics=compilation.weighted_metrics(model),
        resolved_metrics=compilation.resolved_metrics(model),
        jit_compile=compilation.jit(model),
        run_eagerly=bool(getattr(model, "run_eagerly", False)),
        steps_per_execution=whole(getattr(model, "steps_per_execution", None)),
        auto_scale_loss=compilation.auto_scale_loss(model),
        dtype_policies=compilation.dtype_policies(model),
        distribution=known(lambda: compilation.distribution(model)),
        callbacks=callback_parts(callbacks, call),
        seed=last_seed(),
        determinism=known(lambda: determinism(model, call)),
        hyperparameters=hyperparameters,
    )


def with_first_step(config: PhaseConfig, model: Any) -> PhaseConfig:
    """`config` with what Keras resolved in the first step."""
    return config.model_copy(
        update={
            "losses": compilation.resolved_losses(model),
            "resolved_metrics": compilation.resolved_metrics(model),
        }
    )


def optimizer_with_first_step(optimizer: PhaseOptimizer, model: Any) -> PhaseOptimizer:
    """`optimizer` with the variables that Keras made in the first step."""
    return optimizer.model_copy(update={"variables": optimizer_size(model)})

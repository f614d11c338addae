"""`archiver.fit`: `model.fit` with an archive, and the arguments known without looking for them."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from archiver.errors import ArgumentError
from archiver.training.run_archiver import RunArchiver
from archiver.training.workers import require_fit_works


def fit(archive: RunArchiver, model: Any, *args: Any, **kwargs: Any) -> Any:
    """`model.fit(*args, **kwargs)` with `archive` among the callbacks.

    Returns:
        What `model.fit` returns: the History callback.

    Raises:
        ArgumentError: the model is not compiled, or the arguments do not fit `model.fit`. Nothing has been written.
        RunStateError: Keras cannot train it: its strategy spans several processes of TensorFlow.
    """
    if not isinstance(archive, RunArchiver):
        raise ArgumentError(f"Received archive of type {type(archive).__name__}. Expected a RunArchiver.")
    if not isinstance(model, keras.Model):
        raise ArgumentError(f"Received model of type {type(model).__name__}. Expected a keras.Model.")
    if not getattr(model, "compiled", False):
        raise ArgumentError(f"Received the model {model.name!r}, which is not compiled. Call model.compile(...) first.")
    require_fit_works(model)
    signature = inspect.signature(model.fit)
    if "callbacks" not in signature.parameters:  # a fit of the user's own, which hands its arguments on
        kwargs["callbacks"] = _with_archive(kwargs.get("callbacks"), archive)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise ArgumentError(f"Received arguments that model.fit does not take: {error}.") from error
    if "callbacks" in signature.parameters:
        bound.arguments["callbacks"] = _with_archive(bound.arguments.get("callbacks"), archive)
    with archive.given(bound.arguments):
        return model.fit(*bound.args, **bound.kwargs)


def _with_archive(callbacks: Any, archive: RunArchiver) -> Any:
    if isinstance(callbacks, keras.callbacks.CallbackList):
        if archive not in callbacks.callbacks:
            raise ArgumentError(
                "Received callbacks as a CallbackList without the archive in it. Expected a list of callbacks, "
                "or a CallbackList that was made with it."
            )
        return callbacks
    others = list(callbacks) if isinstance(callbacks, list | tuple) else [] if callbacks is None else [callbacks]
    return others if archive in others else [*others, archive]

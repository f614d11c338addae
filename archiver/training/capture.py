"""Seeing the arguments of `fit` from inside it.

A callback is told little; the frames of the call show everything. From `on_train_begin` the frames are walked to the
one of Keras' `fit` (it holds `epoch_iterator`); the frame around it holds the arguments as the user gave them. Nothing
is iterated, drawn or changed by looking. Where a Keras version hides these frames, less is known, and the record says
so.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import keras

from archiver.records.training import CaptureMethod

_RESOLVED = (
    "x", "y", "sample_weight", "batch_size", "epochs", "initial_epoch", "steps_per_epoch", "shuffle", "class_weight",
    "validation_split", "validation_data", "val_x", "val_y", "val_sample_weight", "validation_steps",
    "validation_batch_size", "validation_freq", "verbose",
)  # fmt: skip


@dataclass
class FitCall:
    """What is known of a call of `fit`."""

    method: CaptureMethod
    model: Any = None
    given: dict[str, Any] = field(default_factory=dict)
    """Arguments as the user gave them."""
    resolved: dict[str, Any] = field(default_factory=dict)
    """What `fit` made of them: after a validation split, with defaults."""
    epoch_iterator: Any = None
    callback_list: keras.callbacks.CallbackList | None = None
    note: str | None = None


def capture(model: Any, given: dict[str, Any] | None = None) -> FitCall:
    """The call of `fit` that the calling code is inside of. Never raises.

    Args:
        model: what the callback was told it is.
        given: the arguments where they are known (`archiver.fit`).
    """
    try:
        return _capture(model, given)
    except Exception as error:  # noqa: BLE001 - looking must never break what is looked at
        note = f"the frames of fit could not be read ({type(error).__name__})"
        return FitCall("archiver.fit" if given else "callback", model=model, given=given or {}, note=note)


def _capture(model: Any, given: dict[str, Any] | None) -> FitCall:
    fit = _frame_of_fit(model)
    callback_list = _callback_list()
    if fit is None:
        note = "fit was not found among the calling frames; a training loop of the user's own?"
        return FitCall(
            "archiver.fit" if given else "callback", model, given or {}, callback_list=callback_list, note=note
        )
    local = fit.f_locals
    outer = local.get("callbacks")
    return FitCall(
        method="archiver.fit" if given is not None else "frames",
        model=local["self"],
        given=given if given is not None else _given_arguments(fit),
        resolved={name: local[name] for name in _RESOLVED if name in local},
        epoch_iterator=local["epoch_iterator"],
        callback_list=outer if isinstance(outer, keras.callbacks.CallbackList) else callback_list,
    )


def _frame_of_fit(model: Any, frame: FrameType | None = None) -> FrameType | None:
    frame = frame or sys._getframe(1)  # noqa: SLF001 - documented, and the only way without patching fit
    while frame is not None:
        if frame.f_code.co_name == "fit":
            local = frame.f_locals
            if "epoch_iterator" in local and (model is None or local.get("self") is model):
                return frame
        frame = frame.f_back
    return None


def _given_arguments(fit: FrameType) -> dict[str, Any]:
    frame = fit.f_back
    if frame is None or frame.f_code.co_name != "error_handler" or "args" not in frame.f_locals:
        return {}
    signature = inspect.signature(keras.Model.fit)
    bound = signature.bind(*frame.f_locals["args"], **frame.f_locals["kwargs"])
    return {name: value for name, value in bound.arguments.items() if name != "self"}


def _callback_list() -> keras.callbacks.CallbackList | None:
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    while frame is not None:
        owner = frame.f_locals.get("self") if frame.f_code.co_name == "on_train_begin" else None
        if isinstance(owner, keras.callbacks.CallbackList):
            return owner
        frame = frame.f_back
    return None


def is_being_fitted(model: Any) -> bool:
    """Whether `fit` of this model is running, around the calling code or in another thread."""
    frames = sys._current_frames().values()  # noqa: SLF001 - documented
    return any(_frame_of_fit(model, frame) is not None for frame in frames)

"""Why a training that returned has ended."""

from __future__ import annotations

import math
from typing import Any

import keras

from archiver.records.journal import StopReason


def stop_reason(model: Any, callbacks: list[Any]) -> StopReason:
    """All epochs done, or who set `model.stop_training`: EarlyStopping, TerminateOnNaN, somebody else."""
    if not getattr(model, "stop_training", False):
        return "epochs"
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.EarlyStopping) and callback.stopped_epoch > 0:
            return "early_stopping"
        if isinstance(callback, keras.callbacks.TerminateOnNaN):
            history = getattr(model.history, "history", {}).get("loss", [])
            if history and not math.isfinite(history[-1]):
                return "nan"
    return "user"

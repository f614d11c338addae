"""Why a training that returned has ended."""

from __future__ import annotations

import math
from typing import Any

import keras

from archiver.records.journal import StopReason


def early_stopping(callbacks: list[Any]) -> dict[str, Any] | None:
    """What the EarlyStopping callback did that stopped the training, else one that put its best weights back."""
    candidates = [each for each in callbacks if isinstance(each, keras.callbacks.EarlyStopping)]
    acted = [each for each in candidates if each.stopped_epoch > 0] + [each for each in candidates if _restored(each)]
    if not acted:
        return None
    callback = acted[0]
    best = None if callback.best is None else float(callback.best)
    return {
        "monitor": str(callback.monitor),
        "stopped_epoch": int(callback.stopped_epoch) or None,
        "best_epoch": None if best is None else int(callback.best_epoch),
        "best_value": best,
        "restored_epoch": int(callback.best_epoch) if _restored(callback) else None,
        "patience": max(0, int(callback.patience)),
        # Keras turns its sign where less is better
        "min_delta": abs(float(callback.min_delta)),
    }


def _restored(callback: Any) -> bool:
    return bool(callback.restore_best_weights) and callback.best_weights is not None


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

"""Whether less or more of a metric is better."""

from __future__ import annotations

import math
from typing import Literal

Mode = Literal["min", "max"]

_ENDINGS_OF_MORE = ("auc", "fmeasure")


def is_better(value: float, than: float | None, mode: Mode) -> bool:
    """Whether `value` beats the best one so far. The first of equal values wins, as with EarlyStopping; NaN never."""
    if math.isnan(value):
        return False
    return than is None or (value < than if mode == "min" else value > than)


def is_loss(name: str) -> bool:
    """Whether a metric is a loss, of the model or of one of its outputs."""
    name = name.removeprefix("val_")
    return name == "loss" or name.endswith("_loss")


def direction_by_name(name: str) -> Mode | None:
    """Whether less or more of a metric is better, as far as its name tells; as Keras' callbacks infer it."""
    if is_loss(name):
        return "min"
    name = name.removeprefix("val_")
    return "max" if "acc" in name or name.endswith(_ENDINGS_OF_MORE) else None

"""Feeding Keras: data sets that can be repeated exactly, larger than memory, at the speed of memory.

Everything here reads *windows*: arrays of one shape that are numbered from 0, with labels and groups (`windows`).
What needs Keras is imported when it is used, so that recordings can be preprocessed where there is no Keras.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archiver.data.batches import array_batches
    from archiver.data.windows import ArrayWindows, Windows

__all__ = ["ArrayWindows", "Windows", "array_batches"]

_HOMES = {
    "ArrayWindows": "archiver.data.windows",
    "Windows": "archiver.data.windows",
    "array_batches": "archiver.data.batches",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'archiver.data' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

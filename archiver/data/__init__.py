"""Feeding Keras: data sets that can be repeated exactly, larger than memory, at the speed of memory.

Everything here reads *windows*: arrays of one shape that are numbered from 0, with labels and groups (`windows`).
What needs Keras is imported when it is used, so that recordings can be preprocessed where there is no Keras.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archiver.data.batches import array_batches
    from archiver.data.feeding.batches import window_batches
    from archiver.data.feeding.joining import JoinedWindows
    from archiver.data.feeding.splits import Selection, split_by_group
    from archiver.data.feeding.window_file import WindowFile, npy_windows
    from archiver.data.feeding.writing import write_window_file
    from archiver.data.windows import ArrayWindows, Windows

__all__ = [
    "ArrayWindows",
    "JoinedWindows",
    "Selection",
    "WindowFile",
    "Windows",
    "array_batches",
    "npy_windows",
    "split_by_group",
    "window_batches",
    "write_window_file",
]

_HOMES = {
    "ArrayWindows": "archiver.data.windows",
    "JoinedWindows": "archiver.data.feeding.joining",
    "Selection": "archiver.data.feeding.splits",
    "WindowFile": "archiver.data.feeding.window_file",
    "Windows": "archiver.data.windows",
    "array_batches": "archiver.data.batches",
    "npy_windows": "archiver.data.feeding.window_file",
    "split_by_group": "archiver.data.feeding.splits",
    "window_batches": "archiver.data.feeding.batches",
    "write_window_file": "archiver.data.feeding.writing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'archiver.data' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

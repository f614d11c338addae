"""Feeding Keras: data sets that can be repeated exactly, larger than memory, at the speed of memory.

Everything here reads *windows*: arrays of one shape that are numbered from 0, with labels and groups (`windows`).
What needs Keras is imported when it is used, so that recordings can be preprocessed where there is no Keras.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archiver.data.augmentation.augmentation import Augmentation
    from archiver.data.augmentation.changes import GaussianNoise, Scaling, TimeShift
    from archiver.data.augmentation.masks import ChannelDropout, ChannelMask, TimeMask
    from archiver.data.augmentation.mixing import Mixing
    from archiver.data.augmentation.operation import Operation
    from archiver.data.batches import array_batches
    from archiver.data.features.extraction import extract_features
    from archiver.data.features.files import FeatureFile
    from archiver.data.features.signals import BandPowers, SignalFeatures, SpectralShape, WindowStatistics
    from archiver.data.feeding.batches import window_batches
    from archiver.data.feeding.joining import JoinedWindows
    from archiver.data.feeding.splits import Selection, split_by_group
    from archiver.data.feeding.window_file import WindowFile, npy_windows
    from archiver.data.feeding.writing import write_window_file
    from archiver.data.views import ViewPredictions, predict_with_views
    from archiver.data.windows import ArrayWindows, Windows

__all__ = [
    "ArrayWindows",
    "Augmentation",
    "BandPowers",
    "ChannelDropout",
    "ChannelMask",
    "FeatureFile",
    "GaussianNoise",
    "JoinedWindows",
    "Mixing",
    "Operation",
    "Scaling",
    "Selection",
    "SignalFeatures",
    "SpectralShape",
    "TimeMask",
    "TimeShift",
    "ViewPredictions",
    "WindowFile",
    "WindowStatistics",
    "Windows",
    "array_batches",
    "extract_features",
    "npy_windows",
    "predict_with_views",
    "split_by_group",
    "window_batches",
    "write_window_file",
]

_HOMES = {
    "ArrayWindows": "archiver.data.windows",
    "Augmentation": "archiver.data.augmentation.augmentation",
    "BandPowers": "archiver.data.features.signals",
    "ChannelDropout": "archiver.data.augmentation.masks",
    "ChannelMask": "archiver.data.augmentation.masks",
    "FeatureFile": "archiver.data.features.files",
    "GaussianNoise": "archiver.data.augmentation.changes",
    "JoinedWindows": "archiver.data.feeding.joining",
    "Mixing": "archiver.data.augmentation.mixing",
    "Operation": "archiver.data.augmentation.operation",
    "Scaling": "archiver.data.augmentation.changes",
    "Selection": "archiver.data.feeding.splits",
    "SignalFeatures": "archiver.data.features.signals",
    "SpectralShape": "archiver.data.features.signals",
    "TimeMask": "archiver.data.augmentation.masks",
    "TimeShift": "archiver.data.augmentation.changes",
    "ViewPredictions": "archiver.data.views",
    "WindowFile": "archiver.data.feeding.window_file",
    "WindowStatistics": "archiver.data.features.signals",
    "Windows": "archiver.data.windows",
    "array_batches": "archiver.data.batches",
    "extract_features": "archiver.data.features.extraction",
    "npy_windows": "archiver.data.feeding.window_file",
    "predict_with_views": "archiver.data.views",
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

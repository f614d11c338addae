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
    from archiver.data.cache.building import BuildResult, CacheStorage, build_cache
    from archiver.data.cache.edf import edf_recording
    from archiver.data.cache.extraction import Windowing
    from archiver.data.cache.plan import CachePlan
    from archiver.data.cache.recording import Event, Recording, RecordingSource
    from archiver.data.cache.verifying import CacheReport, verify_cache
    from archiver.data.cache.window_cache import WindowCache
    from archiver.data.features.extraction import extract_features
    from archiver.data.features.files import FeatureFile
    from archiver.data.features.signals import BandPowers, SignalFeatures, SpectralShape, WindowStatistics
    from archiver.data.feeding.batches import window_batches
    from archiver.data.feeding.joining import JoinedWindows
    from archiver.data.feeding.splits import Selection, split_by_group
    from archiver.data.feeding.window_file import WindowFile, npy_windows
    from archiver.data.feeding.writing import write_window_file
    from archiver.data.statistics.caches import cache_statistics
    from archiver.data.statistics.one_pass import ArrayStatistics, DataStatistics, data_statistics
    from archiver.data.views import ViewPredictions, predict_with_views
    from archiver.data.windows import ArrayWindows, Windows

__all__ = [
    "ArrayStatistics",
    "ArrayWindows",
    "Augmentation",
    "BandPowers",
    "BuildResult",
    "CachePlan",
    "CacheReport",
    "CacheStorage",
    "ChannelDropout",
    "ChannelMask",
    "DataStatistics",
    "Event",
    "FeatureFile",
    "GaussianNoise",
    "JoinedWindows",
    "Mixing",
    "Operation",
    "Recording",
    "RecordingSource",
    "Scaling",
    "Selection",
    "SignalFeatures",
    "SpectralShape",
    "TimeMask",
    "TimeShift",
    "ViewPredictions",
    "WindowCache",
    "WindowFile",
    "WindowStatistics",
    "Windowing",
    "Windows",
    "array_batches",
    "build_cache",
    "cache_statistics",
    "data_statistics",
    "edf_recording",
    "extract_features",
    "npy_windows",
    "predict_with_views",
    "split_by_group",
    "verify_cache",
    "window_batches",
    "write_window_file",
]

_HOMES = {
    "ArrayStatistics": "archiver.data.statistics.one_pass",
    "ArrayWindows": "archiver.data.windows",
    "Augmentation": "archiver.data.augmentation.augmentation",
    "BandPowers": "archiver.data.features.signals",
    "BuildResult": "archiver.data.cache.building",
    "CachePlan": "archiver.data.cache.plan",
    "CacheReport": "archiver.data.cache.verifying",
    "CacheStorage": "archiver.data.cache.building",
    "ChannelDropout": "archiver.data.augmentation.masks",
    "ChannelMask": "archiver.data.augmentation.masks",
    "DataStatistics": "archiver.data.statistics.one_pass",
    "Event": "archiver.data.cache.recording",
    "FeatureFile": "archiver.data.features.files",
    "GaussianNoise": "archiver.data.augmentation.changes",
    "JoinedWindows": "archiver.data.feeding.joining",
    "Mixing": "archiver.data.augmentation.mixing",
    "Operation": "archiver.data.augmentation.operation",
    "Recording": "archiver.data.cache.recording",
    "RecordingSource": "archiver.data.cache.recording",
    "Scaling": "archiver.data.augmentation.changes",
    "Selection": "archiver.data.feeding.splits",
    "SignalFeatures": "archiver.data.features.signals",
    "SpectralShape": "archiver.data.features.signals",
    "TimeMask": "archiver.data.augmentation.masks",
    "TimeShift": "archiver.data.augmentation.changes",
    "ViewPredictions": "archiver.data.views",
    "WindowCache": "archiver.data.cache.window_cache",
    "WindowFile": "archiver.data.feeding.window_file",
    "WindowStatistics": "archiver.data.features.signals",
    "Windowing": "archiver.data.cache.extraction",
    "Windows": "archiver.data.windows",
    "array_batches": "archiver.data.batches",
    "build_cache": "archiver.data.cache.building",
    "cache_statistics": "archiver.data.statistics.caches",
    "data_statistics": "archiver.data.statistics.one_pass",
    "edf_recording": "archiver.data.cache.edf",
    "extract_features": "archiver.data.features.extraction",
    "npy_windows": "archiver.data.feeding.window_file",
    "predict_with_views": "archiver.data.views",
    "split_by_group": "archiver.data.feeding.splits",
    "verify_cache": "archiver.data.cache.verifying",
    "window_batches": "archiver.data.feeding.batches",
    "write_window_file": "archiver.data.feeding.writing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'archiver.data' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

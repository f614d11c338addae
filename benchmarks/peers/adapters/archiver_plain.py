"""archiver without snapshots, without figures, and without the copy of the best epoch's weights."""

from __future__ import annotations

from adapters import archiver_default
from adapters.archiver_default import kept_steps, last_sample, load, not_counted, train

__all__ = ["kept_steps", "last_sample", "load", "not_counted", "train"]

archiver_default.OPTIONS.update(snapshot_every=None, figures=False, monitor=None)

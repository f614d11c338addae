"""CodeCarbon offline: energy and emissions of a run; it knows neither steps nor epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def load() -> None:
    """The tracker."""
    from codecarbon import OfflineEmissionsTracker

    assert OfflineEmissionsTracker


def train(folder: Path, fit: Any) -> None:
    """A tracker around `fit`."""
    from codecarbon import OfflineEmissionsTracker

    tracker = OfflineEmissionsTracker(country_iso_code="DEU", output_dir=str(folder), log_level="error")
    tracker.start()
    fit([])
    tracker.stop()

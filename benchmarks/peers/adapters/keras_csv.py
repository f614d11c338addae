"""Keras' CSVLogger: a line an epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras


def load() -> None:
    """It comes with Keras."""


def train(folder: Path, fit: Any) -> None:
    """One callback."""
    fit([keras.callbacks.CSVLogger(folder / "log.csv")])


def kept_steps(folder: Path) -> int:
    """50 steps an epoch."""
    return 50 * max(0, len((folder / "log.csv").read_text().splitlines()) - 1)

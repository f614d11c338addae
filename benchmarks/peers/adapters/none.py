"""No callback: the noise of the comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def load() -> None:
    """Nothing."""


def train(folder: Path, fit: Any) -> None:
    """Nothing beside it."""
    fit([])

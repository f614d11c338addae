"""MLflow: MlflowCallback as it comes, every epoch, and its system metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapters import mlflow_steps
from adapters.mlflow_steps import load

__all__ = ["load", "train"]

mlflow_steps.OPTIONS.clear()


def train(folder: Path, fit: Any) -> None:
    """With CPU, memory and disk beside it."""
    import mlflow

    mlflow.enable_system_metrics_logging()
    mlflow_steps.train(folder, fit)


def kept_steps(folder: Path) -> int:
    """50 steps an epoch."""
    return 50 * mlflow_steps.kept_steps(folder)

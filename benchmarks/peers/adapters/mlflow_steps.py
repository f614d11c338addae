"""MLflow: MlflowCallback with every step, in a SQLite store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

OPTIONS: dict[str, Any] = {"log_every_epoch": False, "log_every_n_steps": 1}


def load() -> None:
    """The callback of Keras 3."""
    import mlflow

    assert mlflow.keras.MlflowCallback


def train(folder: Path, fit: Any) -> None:
    """A run around `fit`."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.set_experiment("runs")
    with mlflow.start_run():
        fit([mlflow.keras.MlflowCallback(**OPTIONS)])


def kept_steps(folder: Path) -> int:
    """Rows of the metric."""
    import sqlite3

    with sqlite3.connect(os.path.join(folder, "mlflow.db")) as database:
        return int(database.execute("SELECT count(*) FROM metrics WHERE key = 'loss'").fetchone()[0])

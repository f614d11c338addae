"""W&B offline: WandbMetricsLogger with every step."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def load() -> None:
    """W&B and its callback."""
    import wandb
    from wandb.integration.keras import WandbMetricsLogger

    assert wandb.init
    assert WandbMetricsLogger


def train(folder: Path, fit: Any) -> None:
    """A run around `fit`."""
    import wandb
    from wandb.integration.keras import WandbMetricsLogger

    with wandb.init(project="runs", mode="offline", dir=folder):
        fit([WandbMetricsLogger(log_freq="batch")])


def kept_steps(folder: Path) -> int:
    """Records of history with a step's loss in the run's file."""
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    store, count = DataStore(), 0
    store.open_for_scan(str(path))
    while True:
        try:
            data = store.scan_data()
        except AssertionError:  # a block that was not written to its end
            return count
        if data is None:
            return count
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        keys = {item.key or "/".join(item.nested_key) for item in record.history.item}
        count += bool(keys & {"batch/loss"})

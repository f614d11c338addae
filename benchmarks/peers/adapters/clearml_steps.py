"""ClearML offline: `report_scalar` for every step and epoch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras


class Report(keras.callbacks.Callback):
    """As the documentation of the Logger shows it."""

    def __init__(self, logger: Any) -> None:
        super().__init__()
        self.logger = logger
        self.step = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """The loss."""
        self.logger.report_scalar("loss", "batch", value=float(logs["loss"]), iteration=self.step)
        self.step += 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """The loss of the epoch."""
        self.logger.report_scalar("loss", "epoch", value=float(logs["loss"]), iteration=epoch)


def load() -> None:
    """The task class."""
    from clearml import Task

    assert Task.init


def train(folder: Path, fit: Any) -> None:
    """A task around `fit`, closed at the end."""
    from clearml import Task

    Task.set_offline(offline_mode=True)
    task = Task.init(project_name="runs", task_name="run")
    fit([Report(task.get_logger())])
    task.close()


def kept_steps(folder: Path) -> int:
    """Events of the metric in the offline session's file."""
    count = 0
    for path in folder.rglob("metrics.jsonl"):
        for line in path.read_text().splitlines():
            try:
                events = json.loads(line)
            except ValueError:
                continue
            count += sum(each.get("variant") == "batch" for each in events)
    return count

"""Aim: `Run.track` for every step and epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras


class Track(keras.callbacks.Callback):
    """As the documentation's training loop does it."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.run = run
        self.step = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """The loss."""
        self.run.track(float(logs["loss"]), name="batch_loss", step=self.step)
        self.step += 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """The loss of the epoch."""
        self.run.track(float(logs["loss"]), name="loss", epoch=epoch)


def load() -> None:
    """The run class."""
    from aim import Run

    assert Run


def train(folder: Path, fit: Any) -> None:
    """A run around `fit`."""
    from aim import Run

    run = Run(repo=str(folder), experiment="runs")
    fit([Track(run)])
    run.close()


def kept_steps(folder: Path) -> int:
    """Values of the metric."""
    from aim import Repo

    for run in Repo(str(folder)).iter_runs():
        for metric in run.metrics():
            if metric.name == "batch_loss":
                return len(metric.values.sparse_list()[0])
    return 0

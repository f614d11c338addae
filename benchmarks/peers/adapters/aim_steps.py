"""Aim: `Run.track` for every step and epoch."""

from __future__ import annotations

import subprocess
import sys
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
    """Values of the metric, once the repository has been indexed anew: before that, Aim shows none of them."""
    from aim import Repo, Run

    program = Path(sys.executable).parent / "aim"
    subprocess.run([program, "storage", "--repo", folder, "reindex", "--yes"], check=True)
    repository = Repo(str(folder))
    (name,) = repository.list_all_runs()
    metrics = {metric.name: metric for metric in Run(name, repo=repository, read_only=True).metrics()}
    return len(metrics["batch_loss"].values.sparse_list()[0]) if "batch_loss" in metrics else 0

"""Sacred: an experiment with a file storage, `log_scalar` for every step and epoch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras


class LogScalars(keras.callbacks.Callback):
    """As the documentation of Sacred's metrics interface shows it."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.run = run

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """The loss."""
        self.run.log_scalar("batch_loss", float(logs["loss"]))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """The loss of the epoch."""
        self.run.log_scalar("loss", float(logs["loss"]), epoch)


def load() -> None:
    """Experiment and observer."""
    from sacred import Experiment
    from sacred.observers import FileStorageObserver

    assert Experiment
    assert FileStorageObserver


def train(folder: Path, fit: Any) -> None:
    """`fit` in the experiment's main function; files are written by the heartbeat, every ten seconds."""
    from sacred import Experiment
    from sacred.observers import FileStorageObserver

    experiment = Experiment("runs", save_git_info=False)
    experiment.observers.append(FileStorageObserver(folder / "sacred"))

    def main(_run: Any) -> None:
        fit([LogScalars(_run)])

    experiment.main(main)
    experiment.run()


def kept_steps(folder: Path) -> int:
    """Values of the metric."""
    path = folder / "sacred" / "1" / "metrics.json"
    metrics = json.loads(path.read_text() or "{}") if path.exists() else {}
    return len(metrics.get("batch_loss", {}).get("values", []))

"""Keras' TensorBoard callback: scalars of every step and epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras


def load() -> None:
    """Keras imports it when the callback is made."""
    import tensorboard

    assert tensorboard.__version__


def train(folder: Path, fit: Any) -> None:
    """`update_freq="batch"`, and no graph."""
    fit([keras.callbacks.TensorBoard(folder / "logs", update_freq="batch", write_graph=False)])


def kept_steps(folder: Path) -> int:
    """Scalars of steps in the files of events."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "logs" / "train"), size_guidance={"tensors": 0})
    events.Reload()
    return len(events.Tensors("batch_loss"))

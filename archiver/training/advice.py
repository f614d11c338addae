"""What a user should be told before the first step, because nobody else tells."""

from __future__ import annotations

import keras

from archiver.records.base import Unavailable
from archiver.training.capture import FitCall
from archiver.training.datasets import data_kind
from archiver.training.seeding import last_seed

_told: set[str] = set()


def repeated_shuffle(call: FitCall) -> str | None:
    """On TensorFlow, once seeded, Keras shuffles arrays by the same permutation in every epoch: said once a process."""
    x, epochs = call.resolved.get("x"), call.resolved.get("epochs")
    concerned = (
        keras.backend.backend() == "tensorflow"
        and call.resolved.get("shuffle") is True
        and isinstance(epochs, int)
        and epochs > 1
        and not isinstance(last_seed(), Unavailable)
        and data_kind(x) == "arrays"
    )
    if not concerned or "repeated shuffle" in _told:
        return None
    _told.add("repeated shuffle")
    return (
        "archiver: after seeding, Keras on TensorFlow shuffles arrays by the same permutation in every epoch. "
        "archiver.data.array_batches(x, y, batch_size=..., seed=...) shuffles anew each epoch, repeatably."
    )

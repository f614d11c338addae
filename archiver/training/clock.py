"""The seconds of a phase while it goes on, as they go into the journal."""

from __future__ import annotations

import weakref
from time import perf_counter
from typing import Any

from archiver.collect.data import ArraySource, named_arrays
from archiver.training.capture import FitCall
from archiver.training.datasets import source_of
from archiver.training.steps import StepRing


class Clock:
    """Times the epochs of a session and what belongs to them. Seconds are those of `perf_counter`."""

    def __init__(self, ring: StepRing) -> None:
        self._ring = ring
        self._iterator: Any = None
        self._epoch_start = 0.0
        self._validation_start: float | None = None
        self._validation_seconds: float | None = None

    def begin_training(self, call: FitCall) -> dict[str, Any]:
        """What is known of the batches: `batch_size`, `batch_count`, `last_batch_size`; None where it is not."""
        epoch_iterator = call.epoch_iterator
        self._iterator = weakref.ref(epoch_iterator) if epoch_iterator is not None else None
        source = source_of((call.given | call.resolved).get("x"))
        if source is not None:
            return _batches_of(source)
        adapter = getattr(epoch_iterator, "data_adapter", None)
        return {
            "batch_size": _told(adapter, "batch_size"),
            "batch_count": self._batch_count(),
            "last_batch_size": _told(adapter, "partial_batch_size"),
        }

    def _batch_count(self) -> int | None:
        """Batches of an epoch; Keras may learn it in the first."""
        iterator = self._iterator() if self._iterator is not None else None
        return _told(iterator, "num_batches")

    def begin_epoch(self) -> None:
        """An epoch begins."""
        self._validation_start = self._validation_seconds = None
        self._epoch_start = perf_counter()

    def begin_validation(self) -> None:
        """An evaluation begins, inside an epoch."""
        self._validation_start = perf_counter()

    def end_validation(self) -> None:
        """It has ended."""
        if self._validation_start is not None:
            self._validation_seconds = perf_counter() - self._validation_start
            self._validation_start = None

    def end_epoch(self) -> dict[str, float | int | None]:
        """The seconds and steps of the epoch that ends now; None for what was not seen."""
        seconds = perf_counter() - self._epoch_start
        steps = self._ring.summary()
        if steps is None:
            found: dict[str, float | int | None] = dict.fromkeys(
                ("train_seconds", "step_count", "first_step_seconds", "median_step_seconds")
            )
        else:
            limit = self._batch_count()
            found = {
                "train_seconds": steps.last_end_seconds - self._epoch_start,
                # the last execution of several steps may lie behind the end of the epoch
                "step_count": steps.count if limit is None else min(steps.count, limit),
                "first_step_seconds": steps.first_end_seconds - self._epoch_start,
                "median_step_seconds": steps.median_seconds,
            }
        return {"seconds": seconds, **found, "validation_seconds": self._validation_seconds}


def _batches_of(source: ArraySource) -> dict[str, Any]:
    count, size = len(named_arrays("x", source.x)[0][1]), source.batch_size
    rest = 0 if source.drop_remainder else count % size
    return {"batch_size": size, "batch_count": count // size + bool(rest), "last_batch_size": rest or size}


def _told(owner: Any, name: str) -> int | None:
    """A count that Keras or a data set of the user's own tells; some raise where they do not know."""
    try:
        value = getattr(owner, name, None)
    except Exception:  # noqa: BLE001 - code of the user's own may run here
        return None
    return int(value) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None

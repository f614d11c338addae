"""When snapshots are taken, and how: a copy on the thread of the training, written by another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

from archiver.archive.run import Run
from archiver.archive.snapshots import (
    VARIABLES,
    remove_snapshots,
    snapshot_folders,
    writing_snapshot,
)
from archiver.archive.snapshots import (
    write_state as write_state_file,
)
from archiver.records.base import Json
from archiver.records.training import SnapshotState
from archiver.storage.plain_state import Array, encode
from archiver.training import checkpoints, data_states, random_generators
from archiver.training.capture import FitCall
from archiver.training.checkpoints import DataState, State, take_state
from archiver.training.exactness import reasons_of_call, reasons_of_state

Every = Literal["epoch"] | int | float | None
"""After each epoch, every so many steps (int), every so many seconds (float), never."""


class Host(Protocol):
    """What is needed of a session."""

    phase: int
    epochs_done: int

    def attempt(self, step: str, function: Callable[[], Any]) -> Any:
        """Run what may fail."""

    def note_failure(self, step: str, error: BaseException) -> None:
        """Record that something failed."""

    def snapshot_written(self) -> None:
        """A snapshot is whole on the disk; called on any thread."""


class Snapshots:
    """Takes the snapshots of one run.

    Args:
        run: the run.
        every: when.
        host: the session.
    """

    def __init__(self, run: Run, every: Every, host: Host) -> None:
        self._run, self._every, self._host = run, every, host
        self._is_begun = False
        self._reasons: tuple[str, ...] = ()
        self._callbacks: list[Any] = []
        self._begin_states: dict[str, Any] = {}
        self._epoch_states: dict[str, Any] | None = None
        self._call: FitCall | None = None
        self._data_state: Json = None
        self._data_arrays: dict[str, Array] = {}
        self._epoch = 0
        self._steps_since = 0
        self._last_seconds = time.monotonic()
        self._number = max((number for number, _ in snapshot_folders(run)), default=0)
        self._writer: threading.Thread | None = None
        self._error: BaseException | None = None
        self._is_in_steps = False
        self._steps_done = 0
        self._is_requested = False

    @property
    def is_on(self) -> bool:
        """Whether any are taken."""
        return self._every is not None

    def begin_phase(self, call: FitCall, callbacks: list[Any], begin_states: dict[str, Any] | None = None) -> None:
        """A call of `fit` begins; `begin_states`: those of the generators when it began in an earlier process."""
        # A training loop of the user's own begins no epoch at the place that a snapshot tells.
        self._is_begun, self._callbacks, self._call = call.epoch_iterator is not None, callbacks, call
        self._reasons = tuple(reasons_of_call(call)) if self.is_on else ()
        if self.is_on:
            self._begin_states = begin_states or random_generators.take_states()
        self._epoch_states = None
        self._is_in_steps = self._is_requested = False
        self._steps_since, self._last_seconds = 0, time.monotonic()

    def request(self) -> bool:
        """Take one at the end of this step, at once, and none after it: training is about to end before its time.

        Called from any thread, and by signal handlers. Returns whether there will be one.
        """
        self._is_requested = self.is_on and self._is_begun and self._is_in_steps
        return self._is_requested

    def begin_epoch(self, epoch: int, states: dict[str, Any] | None = None, steps_done: int = 0) -> None:
        """An epoch begins, all other callbacks have seen it; `states`: as it began in an earlier process, which has
        done so many steps of it."""
        self._epoch, self._steps_done = epoch, steps_done
        self._is_in_steps = True
        if self.is_on:
            self._epoch_states = states or random_generators.take_states()
            self._take_data_state()

    def data_state(self) -> DataState:
        """What the data of this call of `fit` keep, now that its last epoch is done."""
        self._take_data_state()
        return self._data_state, self._data_arrays

    def _take_data_state(self) -> None:
        self._data_arrays = {}
        self._data_state = None if self._call is None else data_states.take_states(self._call, self._data_arrays)

    def count_step(self, step: int) -> bool:
        """A step has ended while later ones run. Returns whether a snapshot is to be taken at the end of the next."""
        self._steps_since += 1
        self._steps_done = step + 1
        return self._is_requested

    def end_step(self, model: Any, step: int) -> None:
        """A step has ended: `step` counts from 0 in the epoch."""
        self.count_step(step)
        if self._is_requested:
            self.answer(model)
        elif self._is_due():
            self.take(model, self._epoch, step + 1)

    def answer(self, model: Any) -> None:
        """Take the snapshot that was requested, if one was."""
        if self._is_requested:
            self.take(model, self._epoch, self._steps_done, at_once=True)
            self._is_requested = self._is_begun = False

    def end_steps(self, model: Any) -> None:
        """The steps of the epoch are done; its validation begins."""
        self.answer(model)
        self._is_in_steps = False

    def _is_due(self) -> bool:
        if isinstance(self._every, int):
            return self._steps_since >= self._every
        return isinstance(self._every, float) and time.monotonic() - self._last_seconds >= self._every

    def end_epoch(self, model: Any, epoch: int) -> None:
        """An epoch has ended, all other callbacks included."""
        self._epoch_states = None
        self._is_in_steps = False
        if self._is_requested:
            self._is_requested = False
            self.take(model, epoch + 1, None, at_once=True)
        elif self._every == "epoch" or self._is_due():
            self.take(model, epoch + 1, None)

    def take(self, model: Any, epoch: int, step: int | None, *, at_once: bool = False) -> None:
        """Take a snapshot; one that is still being written is not disturbed, and this one left out.

        `at_once`: write it before returning, reading one variable after the other instead of copying them all.
        """
        if not self.is_on or not self._is_begun:
            return
        if at_once:
            self.wait()
        elif self._writer is not None and self._writer.is_alive():
            return
        self._tell_failure()
        self._steps_since, self._last_seconds = 0, time.monotonic()
        self._host.attempt("snapshot", lambda: self._take(model, epoch, step, at_once=at_once))

    def _take(self, model: Any, epoch: int, step: int | None, *, at_once: bool) -> None:
        state = take_state(model, self._callbacks, copies=not at_once)
        if step is None:
            self._take_data_state()
        state.arrays |= self._data_arrays
        self._number += 1
        fields: dict[str, Any] = {
            "phase": self._host.phase,
            "epochs_done": self._host.epochs_done,
            "number": self._number,
            "epoch": epoch,
            "step": step,
            "stop_training": bool(getattr(model, "stop_training", False)) and not at_once,
            "has_validated": getattr(model, "_eval_epoch_iterator", None) is not None,
            "begin_random_state": encode(self._begin_states, state.arrays, "begin_random"),
            "epoch_random_state": self._encoded_epoch_states(state),
            "data_state": self._data_state,
        }
        if at_once:
            self._write(state, fields)
            return
        self._writer = threading.Thread(
            target=self._try_to_write, args=(state, fields), name="archiver-snapshot", daemon=True
        )
        self._writer.start()

    def _encoded_epoch_states(self, state: State) -> Json:
        return None if self._epoch_states is None else encode(self._epoch_states, state.arrays, "epoch_random")

    def _try_to_write(self, state: State, fields: dict[str, Any]) -> None:
        try:
            self._write(state, fields)
        except Exception as error:  # noqa: BLE001 - told by the thread of the training
            self._error = error

    def _write(self, state: State, fields: dict[str, Any]) -> None:
        with writing_snapshot(self._run, fields["number"]) as folder:
            found = checkpoints.write_state(folder / VARIABLES, state)
            reasons = (*self._reasons, *reasons_of_state(state.model, found["not_kept"]))
            record = SnapshotState(**fields, **found, exact=not reasons, inexact_reasons=reasons)
            write_state_file(self._run, folder, record)
        self._host.snapshot_written()

    def _tell_failure(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            self._host.note_failure("snapshot", error)

    def wait(self) -> None:
        """Wait until what is being written is written, and record it if it failed."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.join()
        self._tell_failure()

    def end_phase(self) -> None:
        """No more are taken in this call of `fit`."""
        self.wait()
        self._is_begun = self._is_in_steps = False
        self._callbacks, self._call = [], None
        self._begin_states, self._epoch_states = {}, None
        self._data_state, self._data_arrays = None, {}

    def remove(self) -> None:
        """The training has ended, and its checkpoint is written.

        Raises:
            StorageError: the file system refused.
        """
        remove_snapshots(self._run)

"""Bringing the data of a `fit` to where another process had left off.

Arrays are begun anew in each epoch, so that only the batches of an epoch that was begun are passed over; so are
data sets that are put where they stood (`archiver.training.data_states`). Other data may remember what came before (a
tf.data pipeline that shuffles differently each time, a generator): they are drawn from as `fit` drew from them, epoch
by epoch, without training.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras

from archiver.training.capture import FitCall

QUIET_SECONDS = 1.0
"""A replay that takes longer is shown."""


def replay(call: FitCall, epochs: range) -> None:
    """Draw the batches of these epochs, those of the validations after them too."""
    shown = _Progress(len(epochs))
    for number, epoch in enumerate(epochs):
        _drain(call.epoch_iterator, call.model)
        if is_validated(call, epoch):
            iterator = validation_iterator(call)
            iterator.reset()
            _drain(iterator, call.model)
        shown.show(number + 1)
    shown.end()


def is_validated(call: FitCall, epoch: int) -> bool:
    """Whether `fit` validates after this epoch."""
    if call.resolved.get("val_x") is None:
        return False
    return bool(call.model._should_eval(epoch, call.resolved.get("validation_freq", 1)))  # noqa: SLF001


def validation_iterator(call: FitCall) -> Any:
    """The iterator of the validation data that `fit` keeps, made as `fit` makes it where it is not there yet."""
    model, given = call.model, call.resolved
    if getattr(model, "_eval_epoch_iterator", None) is None:
        more = {"distribute_strategy": model.distribute_strategy} if keras.backend.backend() == "tensorflow" else {}
        model._eval_epoch_iterator = type(call.epoch_iterator)(  # noqa: SLF001 - where fit looks for it
            x=given["val_x"],
            y=given.get("val_y"),
            sample_weight=given.get("val_sample_weight"),
            batch_size=given.get("validation_batch_size") or given.get("batch_size"),
            steps_per_execution=model.steps_per_execution,
            steps_per_epoch=given.get("validation_steps"),
            shuffle=False,
            **more,
        )
    return model._eval_epoch_iterator  # noqa: SLF001


def _drain(epoch_iterator: Any, model: Any) -> None:
    """One pass, as `fit` and `evaluate` make it."""
    with epoch_iterator.catch_stop_iteration():
        for _, _, batches in epoch_iterator:
            _draw(batches, model.steps_per_execution)


def _draw(batches: Any, count: int) -> None:
    # On TensorFlow a step draws its batches itself; elsewhere they were drawn for it.
    if hasattr(batches, "__next__"):
        for _ in range(count):
            next(batches)


def pass_over(call: FitCall, step_count: int, when_done: Callable[[], None]) -> None:
    """Let the next pass over the data begin behind its first `step_count` steps.

    Args:
        call: the `fit` that is about to iterate.
        step_count: steps done, as Keras counts batches.
        when_done: called when they are passed over, before the first batch that is trained with is drawn.
    """
    epoch_iterator, model = call.epoch_iterator, call.model
    ordinary = epoch_iterator._enumerate_iterator  # noqa: SLF001 - Keras has no other place to begin at

    def enumerate_rest() -> Iterator[tuple[int, int, Any]]:
        del epoch_iterator._enumerate_iterator  # noqa: SLF001
        is_trained = False
        for begin, end, batches in ordinary():
            if end >= step_count:
                is_trained = True
                yield begin, end, batches
                continue
            for _ in range(model.steps_per_execution):
                next(batches)
            if end + 1 >= step_count:
                # At once: behind its last step, Keras begins the next epoch's iterator, which may draw random numbers.
                when_done()
        if not is_trained and keras.backend.backend() == "jax":
            with _step_of_nothing(call):
                yield step_count, step_count, None

    epoch_iterator._enumerate_iterator = enumerate_rest  # noqa: SLF001


@contextlib.contextmanager
def _step_of_nothing(call: FitCall) -> Iterator[None]:
    """Where all steps of an epoch were done, `fit` on JAX has no logs and fails: give it a step that does nothing."""
    model, callbacks = call.model, call.callback_list
    ordinary, logs = model.train_function, model.get_metrics_result()
    model.train_function = lambda state, _: (logs, state)
    hooks = {name: lambda *_, **__: None for name in ("on_train_batch_begin", "on_train_batch_end")}
    if callbacks is not None:
        vars(callbacks).update(hooks)
    try:
        yield
    finally:
        model.train_function = ordinary
        for name in hooks:
            vars(callbacks).pop(name, None)


class _Progress:
    """A line on standard error for a replay that takes its time."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._began = time.monotonic()
        self._is_shown = False

    def show(self, done: int) -> None:
        seconds = time.monotonic() - self._began
        if seconds > QUIET_SECONDS and sys.stderr.isatty():
            self._is_shown = True
            text = f"archiver: drawing the batches of epochs that were done: {done}/{self._epochs}, {seconds:.0f} s"
            print(f"\r{text}", end="", file=sys.stderr, flush=True)  # noqa: T201 - a progress line

    def end(self) -> None:
        if self._is_shown:
            print(file=sys.stderr)  # noqa: T201

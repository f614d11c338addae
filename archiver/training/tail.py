"""The tail: a callback at the very end of the list, so that it sees what all others have done."""

from __future__ import annotations

from typing import Any, Protocol

import keras


class Owner(Protocol):
    """Whom a tail reports to."""

    def begin_tail(self, model: Any) -> None:
        """Training begins, and all other callbacks have seen it."""

    def begin_tail_epoch(self, model: Any, epoch: int) -> None:
        """An epoch begins, and all other callbacks have seen it."""

    def end_tail_step(self, model: Any, step: int, *, in_background: bool) -> bool:
        """A step has ended, and all other callbacks have seen it.

        `in_background`: later steps run already, so that the model is not to be looked at. Returns whether the next
        step shall end on the thread of the training.
        """

    def end_epoch(self, model: Any, epoch: int, logs: dict[str, Any]) -> None:
        """An epoch has ended, all other callbacks included."""

    def end_training(self, model: Any) -> None:
        """`fit` is about to return."""


class Tail(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports the end of epochs and of training to its owner, after EarlyStopping has restored what it restores."""

    async_safe = True

    def __init__(self, owner: Owner, callback_list: keras.callbacks.CallbackList) -> None:
        super().__init__()
        self.owner = owner
        self.is_over = False
        self.sees_steps = False
        """Whether the owner wants to know of every step."""
        self._callback_list = callback_list

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        """Training begins."""
        self.owner.begin_tail(self.model)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """An epoch begins."""
        self.owner.begin_tail_epoch(self.model, epoch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """A step has ended."""
        if self.sees_steps:
            # Not `self.model`: on JAX, that brings back the state of the training from the device, at every step.
            in_background = bool(getattr(self._callback_list, "_async_train", False))
            if self.owner.end_tail_step(self._model, batch, in_background=in_background) and in_background:
                self._callback_list._async_train = False  # noqa: SLF001

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """An epoch has ended."""
        self.owner.end_epoch(self.model, epoch, logs or {})

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        """`fit` is about to return."""
        try:
            self.owner.end_training(self.model)
        finally:
            # Only from the end of the list: removing one in mid-iteration makes Keras skip the callback behind it.
            self.is_over = True
            callbacks = self._callback_list.callbacks
            while callbacks and isinstance(callbacks[-1], Tail) and callbacks[-1].is_over:
                callbacks.pop()


def append_tail(
    owner: Owner, callback_list: keras.callbacks.CallbackList | None, model: Any, params: Any
) -> Tail | None:
    """Append a tail to the list of a `fit` that has begun; None where there is no such list."""
    if callback_list is None:
        return None
    tail = Tail(owner, callback_list)
    tail.set_params(params)
    tail.set_model(model)
    callback_list.callbacks.append(tail)
    return tail


def remove_tails(owner: Owner, callback_list: keras.callbacks.CallbackList | None) -> None:
    """Remove the owner's tails that an earlier `fit` left in a list that is used again."""
    if callback_list is None:
        return
    kept = [each for each in callback_list.callbacks if not (isinstance(each, Tail) and each.owner is owner)]
    if len(kept) < len(callback_list.callbacks):
        callback_list.callbacks[:] = kept

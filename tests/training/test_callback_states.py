"""What is kept of other callbacks, what is not, and that it is told."""

from __future__ import annotations

import threading
from typing import Any

import keras
import numpy as np

from archiver.storage.plain_state import decode
from archiver.training.callback_states import put_states, take_states


class Mine(keras.callbacks.Callback):
    def __init__(self, **attributes: Any) -> None:
        super().__init__()
        vars(self).update(attributes)


class Failing(keras.callbacks.Callback):
    def get_archive_state(self) -> Any:
        raise ZeroDivisionError("planted")


def taken(*callbacks: Any) -> tuple[list[Any], list[str]]:
    arrays: dict[str, Any] = {}
    states, not_kept = take_states(callbacks, arrays)
    return decode(states, lambda name, dtype: arrays[name].view(dtype)), not_kept


def test_plain_attributes_come_back_and_generators_stay_the_objects_they_are() -> None:
    shared = np.random.default_rng(3)
    before = Mine(count=3, seen=[1.5, None], drawn=np.random.default_rng(3), table=np.arange(4))
    before.drawn.random(5)
    states, not_kept = taken(before)
    assert not_kept == []
    after = Mine(count=0, seen=[], drawn=shared, table=np.zeros(4, "int64"))
    table = after.table
    put_states([after], states)
    assert (after.count, after.seen) == (3, [1.5, None])
    assert after.drawn is shared
    assert shared.random() == before.drawn.random()
    assert after.table is table
    np.testing.assert_array_equal(table, np.arange(4))


def test_data_that_is_not_plain_is_told_and_open_files_are_not() -> None:
    _, not_kept = taken(Mine(models={"a": object()}, lock=threading.Lock(), nothing=[]))
    assert not_kept == [f"{__name__}.Mine.models"]


def test_writers_of_keras_own_callbacks_are_made_anew() -> None:
    board = keras.callbacks.TensorBoard("logs")
    board._writers = {"train": object()}
    board._global_train_batch = 7
    (state,), not_kept = taken(board)
    assert not_kept == []
    assert state["state"]["_global_train_batch"] == 7


def test_one_that_fails_costs_its_own_state_only() -> None:
    states, not_kept = taken(Failing(), Mine(count=1))
    assert [each["state"] for each in states] == [{}, {"count": 1}]
    assert not_kept == [f"{__name__}.Failing.state (ZeroDivisionError: planted)"]

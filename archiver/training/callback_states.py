"""What other callbacks keep from epoch to epoch: taken with a snapshot, put back when the training goes on.

A callback may say itself what that is: `get_archive_state()` returns plain values (archiver.storage.plain_state lists
them), and `set_archive_state(state)` takes them back. Of others, the attributes that are plain values are kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from archiver.records.base import Json
from archiver.storage.jsonable import qualified_name
from archiver.storage.plain_state import Array, NotPlainError, encode
from archiver.training.attributes import put_attributes, without_secrets
from archiver.training.secrets import SecretError

_NEVER = frozenset({"_model", "model", "params"})
_OPEN = frozenset({"csv_file", "writer"})
_FILE = "archiver: file"
_OWN = "archiver: own"


def take_states(callbacks: Iterable[Any], arrays: dict[str, Array]) -> tuple[list[Json], list[str]]:
    """The state of each callback as JSON, arrays apart, and what of it could not be kept."""
    states: list[Json] = []
    not_kept: list[str] = []
    for index, callback in enumerate(callbacks):
        name = qualified_name(type(callback))
        try:
            state, missing = _state_of(callback, arrays, f"callbacks/{index}")
        except Exception as error:  # noqa: BLE001 - code of the user's own; the rest is kept all the same
            state, missing = {}, [f"state ({type(error).__name__}: {error})"]
        states.append({"class": name, "state": state})
        not_kept += [f"{name}.{each}" for each in missing]
    return states, not_kept


def _state_of(callback: Any, arrays: dict[str, Array], prefix: str) -> tuple[Json, list[str]]:
    if hasattr(callback, "get_archive_state"):
        try:
            return {_OWN: without_secrets("", encode(callback.get_archive_state(), arrays, prefix), arrays)}, []
        except (NotPlainError, SecretError):
            return {}, ["get_archive_state()"]
    state: dict[str, Json] = {}
    missing = []
    for index, (name, value) in enumerate(sorted(vars(callback).items())):
        if name in _NEVER or (isinstance(callback, keras.callbacks.CSVLogger) and name in _OPEN):
            continue
        try:
            kept: dict[str, Array] = {}
            state[name] = without_secrets(name, encode(value, kept, f"{prefix}/{index}"), kept)
            arrays |= kept
        except NotPlainError:
            missing.append(name)
        except SecretError:
            state.pop(name, None)  # the script gives it again
    if isinstance(callback, keras.callbacks.CSVLogger):
        state[_FILE] = encode(_written(callback), arrays, f"{prefix}/file")
    # What the constructor made of functions and files is made again by the script; only data can be lost.
    if _is_of_keras(callback):
        return state, []
    return state, [name for name in missing if _is_data(getattr(callback, name))]


def _is_of_keras(callback: Any) -> bool:
    """Keras' own callbacks keep data as plain values; their other containers hold writers and threads."""
    return type(callback).__module__.startswith("keras.")


def _is_data(value: Any) -> bool:
    return isinstance(value, list | tuple | dict | set | np.ndarray) and bool(len(value))


def _written(logger: Any) -> bytes:
    if logger.csv_file is None:
        return b""
    if not logger.csv_file.closed:
        logger.csv_file.flush()
    return Path(logger.filename).read_bytes()


def put_states(callbacks: Iterable[Any], states: Iterable[dict[str, Any]]) -> None:
    """Give each callback its state back, the n-th of a class that of the n-th of this class.

    Args:
        callbacks: those of the `fit` that goes on.
        states: what `take_states` returned, decoded.
    """
    waiting: dict[str, list[Any]] = defaultdict(list)
    for each in states:
        waiting[each["class"]].append(each["state"])
    for callback in callbacks:
        kept = waiting[qualified_name(type(callback))]
        if kept:
            _put_state(callback, kept.pop(0))


def _put_state(callback: Any, state: dict[str, Any]) -> None:
    if _OWN in state:
        callback.set_archive_state(state[_OWN])
        return
    # Keras infers whether less is better when an epoch ends first, and turns min_delta around with it: doing so after
    # its state is back would turn it around twice.
    if "monitor_op" not in state and getattr(callback, "monitor_op", True) is None:
        callback._set_monitor_op()  # noqa: SLF001 - Keras has no public way
    written = state.pop(_FILE, None)
    put_attributes(callback, state)
    if written is not None:
        _write_again(callback, written)


def _write_again(logger: Any, written: bytes) -> None:
    """A CSVLogger empties its file when training begins; what it wrote up to the snapshot is put back."""
    if logger.csv_file is None:
        return
    is_over = logger.csv_file.closed
    logger.csv_file.close()
    Path(logger.filename).write_bytes(written)
    if is_over:
        return
    logger.csv_file = open(logger.filename, "a", encoding="utf-8")  # noqa: SIM115 - the logger closes it
    logger.append_header = not written

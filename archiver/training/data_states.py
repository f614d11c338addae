"""Where a PyDataset stands, so that the epochs that were done need not be drawn once more when training goes on.

A PyDataset may say itself what it keeps from epoch to epoch, by `get_archive_state()` and `set_archive_state(state)`,
as a callback may; so may a tf.data pipeline, as those of `archiver.data` do. Of other PyDatasets all attributes are
taken: plain values with their values, larger arrays by a digest, since they are most likely the data, which must be the
same when training goes on. Functions and paths are given again by the script. One with an attribute of any other kind
may keep anything there: its batches are drawn again.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import numpy as np

from archiver.records.base import Json
from archiver.storage.plain_state import Array, NotPlainError, encode
from archiver.training.attributes import put_attributes, without_secrets
from archiver.training.capture import FitCall
from archiver.training.datasets import data_kind
from archiver.training.same_training import array_digest
from archiver.training.secrets import SecretError

COPIED_BYTES = 1 << 20
"""Arrays up to here are kept with their values."""
MAXIMAL_ITEM_COUNT = 100_000
"""Lists that are longer would take too long at every epoch."""
_ROLES = (("x", "steps_per_epoch"), ("val_x", "validation_steps"))
_OWN = "own"
_VALUES = "values"
_DIGESTS = "digests"


def take_states(call: FitCall, arrays: dict[str, Array]) -> Json:
    """What the data of a `fit` keep, by argument: `{}` where there are arrays only.

    Called between two epochs. None: some of it remembers what is not to be seen (a tf.data pipeline, a generator).
    """
    states: dict[str, Json] = {}
    for role, dataset in _datasets(call):
        state = _state_of(dataset, arrays, f"data/{role}") if dataset is not None else None
        if state is None:
            return None
        states[role] = state
    return states


def has_data_sets(call: FitCall) -> bool:
    """Whether some of the data of a `fit` are no arrays, and may remember."""
    return any(True for _ in _datasets(call))


def can_be_put(call: FitCall, states: Any) -> bool:
    """Whether the data of a `fit` are those whose states were taken.

    Args:
        call: the `fit` that goes on.
        states: what `take_states` returned, decoded.
    """
    datasets = dict(_datasets(call))
    if states is None or datasets.keys() != states.keys():
        return False
    return all(dataset is not None and _is_same(dataset, states[role]) for role, dataset in datasets.items())


def put_states(call: FitCall, states: Any) -> None:
    """Let the data of a `fit` stand where they stood; `can_be_put` says whether they can."""
    for role, dataset in _datasets(call):
        if _OWN in states[role]:
            dataset.set_archive_state(states[role][_OWN])
        else:
            put_attributes(dataset, states[role][_VALUES])


def _datasets(call: FitCall) -> Iterator[tuple[str, Any]]:
    """By argument, what is no array; None: where it stands cannot be set."""
    for role, steps in _ROLES:
        x = call.resolved.get(role)
        kind = None if x is None else data_kind(x)
        if kind in (None, "arrays"):
            continue
        # A pass that ends before the data do goes on there in the next epoch.
        is_whole = call.resolved.get(steps) is None and _has_an_end(x)
        yield role, x if is_whole and (kind == "pydataset" or hasattr(x, "get_archive_state")) else None


def _has_an_end(x: Any) -> bool:
    if hasattr(x, "cardinality"):
        return int(x.cardinality()) >= 0
    return getattr(x, "num_batches", None) is not None


def _state_of(dataset: Any, arrays: dict[str, Array], prefix: str) -> Json:
    kept: dict[str, Array] = {}
    try:
        if hasattr(dataset, "get_archive_state"):
            state: dict[str, Any] = {_OWN: without_secrets("", encode(dataset.get_archive_state(), kept, prefix), kept)}
        else:
            state = _attributes_of(dataset, kept, prefix)
    except (NotPlainError, SecretError):
        return None
    arrays |= kept
    return state


def _attributes_of(dataset: Any, arrays: dict[str, Array], prefix: str) -> dict[str, dict[str, Json]]:
    values: dict[str, Json] = {}
    digests: dict[str, Json] = {}
    for index, (name, value) in enumerate(sorted(vars(dataset).items())):
        if _is_given_again(value):
            continue
        if isinstance(value, np.ndarray) and value.nbytes > COPIED_BYTES:
            digests[name] = _digest(value)
            continue
        if hasattr(value, "__len__") and len(value) > MAXIMAL_ITEM_COUNT:
            raise NotPlainError(f"{name} has {len(value)} items")
        kept: dict[str, Array] = {}
        values[name] = without_secrets(name, encode(value, kept, f"{prefix}/{index}"), kept)
        arrays |= kept
    return {_VALUES: values, _DIGESTS: digests}


def _is_given_again(value: Any) -> bool:
    if isinstance(value, type | PurePath | np.ufunc) or inspect.ismodule(value) or inspect.isbuiltin(value):
        return True
    return inspect.isfunction(value) and value.__closure__ is None


def _digest(value: Any) -> str:
    digest = array_digest(value, COPIED_BYTES)
    if digest is None:
        raise NotPlainError("an array of objects")
    return digest


def _is_same(dataset: Any, state: dict[str, Any]) -> bool:
    if _OWN in state:
        return hasattr(dataset, "set_archive_state")
    try:
        now = _attributes_of(dataset, {}, "")
    except (NotPlainError, SecretError):
        return False
    return bool(now[_DIGESTS] == state[_DIGESTS] and now[_VALUES].keys() == state[_VALUES].keys())

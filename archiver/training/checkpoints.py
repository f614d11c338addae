"""The state of a training: everything that it needs to go on, as arrays (npz) and JSON, nothing pickled."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from archiver import layout
from archiver.archive.run import Run
from archiver.records.base import Json, utc_now
from archiver.records.model import VariablePart
from archiver.records.training import CheckpointState
from archiver.storage import files
from archiver.storage.npz import StoredArray, write_npz
from archiver.storage.plain_state import Array, encode
from archiver.training import callback_states, random_generators, weights
from archiver.training.names import names_of

DataState = tuple[Json, dict[str, Array]]
"""What data keep, and the arrays it refers to."""
NO_DATA: DataState = (None, {})


@dataclass
class State:
    """What a training is at one moment."""

    model: Any
    groups: dict[str, list[Any]]
    """Variables, by what they belong to."""
    copies: dict[str, Array] | None
    """Their values by `<group>/<index>`; None: they are read when they are written."""
    arrays: dict[str, Array] = field(default_factory=dict)
    """Those of callbacks and generators."""
    random_state: Json = None
    callbacks: list[Json] = field(default_factory=list)
    not_kept: list[str] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        """Of all values."""
        variables = (variable for group in self.groups.values() for variable in group)
        own = sum(array.nbytes for array in self.arrays.values())
        return own + sum(_size_bytes(variable) for variable in variables)


def _size_bytes(variable: Any) -> int:
    return int(np.prod(tuple(variable.shape), dtype=np.int64)) * (2 if "16" in str(variable.dtype) else 8)


def take_state(model: Any, callbacks: Iterable[Any], *, copies: bool) -> State:
    """Look at everything that training goes on from.

    Args:
        model: its variables, those of its optimizer, metrics and seed generators are taken.
        callbacks: the others of this `fit`.
        copies: copy the values of the variables, so that training may go on; it takes their size in memory. Otherwise
            they are read one at a time by `write_state`.
    """
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()  # between its steps, Keras keeps the values elsewhere
    groups = variable_groups(model)
    values = dict(_values(groups, copy=True)) if copies else None
    state = State(model, groups, values)
    state.callbacks, state.not_kept = callback_states.take_states(callbacks, state.arrays)
    try:
        state.random_state = encode(random_generators.take_states(), state.arrays, "random")
    except Exception as error:  # noqa: BLE001 - private parts of Keras and TensorFlow
        state.not_kept.append(f"random state: {type(error).__name__}: {error}")
    return state


def _values(groups: dict[str, list[Any]], *, copy: bool) -> Iterator[tuple[str, Array]]:
    for group, variables in groups.items():
        for index, variable in enumerate(variables):
            array = weights.to_array(variable)
            yield f"{group}/{index}", np.array(array, copy=True) if copy else array


def write_state(path: Path, state: State, weights_digest: str | None = None) -> dict[str, Any]:
    """Write the arrays to `path`.

    Args:
        path: the npz file.
        state: what to write.
        weights_digest: where it is known.

    Returns:
        the fields of `CheckpointState` that tell of them.

    Raises:
        StorageError: the file system refused.
    """
    digest = hashlib.sha256()

    def arrays() -> Iterator[tuple[str, Array]]:
        values = state.copies.items() if state.copies is not None else _values(state.groups, copy=False)
        for name, array in values:
            group, _, index = name.partition("/")
            if group == "model" and weights_digest is None:
                weights.add_to_digest(digest, int(index), array)
            yield name, array
        yield from state.arrays.items()

    with files.replacing(path) as temporary:
        stored = write_npz(temporary, arrays())
    return {
        "created": utc_now(),
        "keras_version": keras.__version__,
        "backend": keras.backend.backend(),
        "weights_digest": weights_digest or digest.hexdigest(),
        "random_state": state.random_state,
        "callbacks": state.callbacks,
        "not_kept": tuple(state.not_kept),
        **_tables(state, stored),
    }


def save_checkpoint(
    run: Run,
    model: Any,
    callbacks: Iterable[Any] = (),
    *,
    phase: int,
    epochs_done: int,
    data: DataState = NO_DATA,
    weights_digest: str | None = None,
) -> None:
    """Write `<name>_checkpoint/`: variables of model, optimizer, metrics and seed generators, the other callbacks, and
    all random states.

    `data`: what the data of `fit` keep.
    `weights_digest`: that of the model, where it is known; to compute it reads all weights once more.

    Raises:
        StorageError: the file system refused.
    """
    state = take_state(model, callbacks, copies=False)
    data_state, data_arrays = data
    state.arrays |= data_arrays
    fields = write_state(run.path_of(layout.CHECKPOINT_VARIABLES), state, weights_digest)
    run.write(
        layout.CHECKPOINT_STATE, CheckpointState(phase=phase, epochs_done=epochs_done, data_state=data_state, **fields)
    )


def _tables(state: State, stored: dict[str, StoredArray]) -> dict[str, tuple[VariablePart, ...]]:
    """The variables of each group; their digests are those of what was written."""
    owners, names = weights.layer_names(state.model), names_of(state.model)

    def part(group: str, index: int, variable: Any) -> VariablePart:
        layer = owners.get(id(variable))
        return weights.variable_part(index, variable, stored[f"{group}/{index}"], names, layer)

    return {
        group: tuple(part(group, index, variable) for index, variable in enumerate(variables))
        for group, variables in state.groups.items()
    }


def variable_groups(model: Any) -> dict[str, list[Any]]:
    """The variables that training continues from, each once, by what they belong to."""
    seen: set[int] = set()
    groups: dict[str, list[Any]] = {}
    for group, variables in {
        "optimizer": weights.optimizer_variables(model),
        "metrics": list(getattr(model, "metrics_variables", ()) or ()),
        "model": list(model.weights),
        "seed_generators": weights.seed_generators(model),
    }.items():
        groups[group] = [variable for variable in variables if id(variable) not in seen]
        seen |= {id(variable) for variable in variables}
    return groups

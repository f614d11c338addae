"""The checkpoint: everything that training needs to go on, as arrays (npz) and JSON, nothing pickled."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from archiver import layout
from archiver.archive.run import Run
from archiver.records.base import utc_now
from archiver.records.model import VariablePart
from archiver.records.training import CheckpointState, RandomState
from archiver.storage import files
from archiver.storage.jsonable import jsonable
from archiver.storage.npz import StoredArray, write_npz
from archiver.training import weights
from archiver.training.names import names_of

NUMPY_KEY = "random/numpy_key"


def save_checkpoint(run: Run, model: Any, *, phase: int, epochs_done: int, weights_digest: str | None = None) -> None:
    """Write `<name>_checkpoint/`: variables of model, optimizer, metrics and seed generators, and all random states.

    `weights_digest`: that of the model, where it is known; to compute it reads all weights once more.

    Raises:
        StorageError: the file system refused.
    """
    groups = variable_groups(model)
    random_state, key, not_kept = _random_state()

    def arrays() -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
        for group, variables in groups.items():
            for index, variable in enumerate(variables):
                yield f"{group}/{index}", weights.to_array(variable)
        yield NUMPY_KEY, key

    with files.replacing(run.path_of(layout.CHECKPOINT_VARIABLES)) as temporary:
        stored = write_npz(temporary, arrays())
    tables: dict[str, Any] = _tables(model, groups, stored)
    state = CheckpointState(
        created=utc_now(),
        phase=phase,
        epochs_done=epochs_done,
        keras_version=keras.__version__,
        backend=keras.backend.backend(),
        weights_digest=weights_digest or weights.weights_digest(model.weights),
        random_state=random_state,
        not_kept=tuple(not_kept),
        **tables,
    )
    run.write(layout.CHECKPOINT_STATE, state)


def _tables(
    model: Any, groups: dict[str, list[Any]], stored: dict[str, StoredArray]
) -> dict[str, tuple[VariablePart, ...]]:
    """The variables of each group; their digests are those of what was written."""
    owners, names = weights.layer_names(model), names_of(model)

    def part(group: str, index: int, variable: Any) -> VariablePart:
        layer = owners.get(id(variable))
        return weights.variable_part(index, variable, stored[f"{group}/{index}"], names, layer)

    return {
        group: tuple(part(group, index, variable) for index, variable in enumerate(variables))
        for group, variables in groups.items()
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


def _random_state() -> tuple[RandomState, np.ndarray[Any, Any], list[str]]:
    algorithm, key, position, has_gauss, cached = np.random.get_state()
    not_kept: list[str] = []
    try:
        backend = _backend_state()
    except Exception as error:  # noqa: BLE001 - private parts of Keras and TensorFlow
        backend = None
        not_kept.append(f"random state of the backend: {type(error).__name__}")
    state = RandomState(
        python=jsonable(random.getstate()),
        numpy=jsonable({"algorithm": algorithm, "position": position, "has_gauss": has_gauss, "cached": cached}),
        backend=jsonable(backend),
    )
    return state, np.asarray(key), not_kept


def _backend_state() -> dict[str, Any]:
    from keras.src.backend.common import global_state
    from keras.src.random import seed_generator

    generator = global_state.get_global_attribute(seed_generator.GLOBAL_SEED_GENERATOR)
    state: dict[str, Any] = {"keras": None if generator is None else weights.to_array(generator.state).tolist()}
    if "tensorflow" in sys.modules and keras.backend.backend() == "tensorflow":
        state |= _tensorflow_state()
    if "torch" in sys.modules:
        import torch

        state["torch"] = torch.get_rng_state().numpy().tobytes().hex()
    return state


def _tensorflow_state() -> dict[str, Any]:
    from tensorflow.python.eager import context
    from tensorflow.python.ops import stateful_random_ops

    eager = context.context()
    operations = getattr(eager, "_rng", None)
    generator = stateful_random_ops.global_generator
    return {
        "tensorflow_seed": eager._seed,  # noqa: SLF001 - TensorFlow has no public way to read it
        "tensorflow_operations": None if operations is None else jsonable(operations.getstate()),
        "tensorflow_generator": None if generator is None else generator.state.numpy().tolist(),
    }

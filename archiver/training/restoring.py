"""Putting a model, its optimizer, metrics, seed generators, callbacks and all random states where they were."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

import keras

from archiver.errors import RecordError
from archiver.records.training import CheckpointState
from archiver.storage.npz import read_npz_array
from archiver.storage.plain_state import Array, decode
from archiver.training import callback_states, random_generators
from archiver.training.checkpoints import variable_groups


class SavedState:
    """A checkpoint or a snapshot that is to be restored."""

    def __init__(self, state: CheckpointState, variables: Path) -> None:
        self.state, self._variables = state, variables

    def put_variables(self, model: Any, *, metrics: bool = True) -> None:
        """Assign the variables of a model that is built.

        Args:
            model: the model.
            metrics: also those of the metrics, which `fit` sets back when an epoch begins.

        Raises:
            RecordError: the model has other variables.
        """
        for group, variables in variable_groups(model).items():
            parts = getattr(self.state, group)
            if group == "metrics" and (not metrics or not parts):
                continue
            found = [(tuple(each.shape), str(each.dtype)) for each in variables]
            kept = [(tuple(part.shape), part.dtype) for part in parts]
            if [shape for shape, _ in found] != [shape for shape, _ in kept]:
                raise RecordError(
                    f"the {group} variables of the model have other shapes than those of the {self.state.kind}: "
                    f"received {len(found)}, expected {len(kept)}"
                )
            for variable, part in zip(variables, parts, strict=True):
                variable.assign(self.load(f"{group}/{part.index}", part.dtype))

    def put_callbacks(self, callbacks: Iterable[Any]) -> None:
        """Give the other callbacks their states."""
        callback_states.put_states(callbacks, self.decoded(self.state.callbacks))

    def put_random_states(self, encoded: Any = None, but: Container[str] = ()) -> None:
        """Let all generators go on from there, `but` some.

        Args:
            encoded: other states that were kept with these.
            but: names of generators, as `random_generators.take_states` has them.
        """
        wanted = self.state.random_state if encoded is None else encoded
        if wanted is not None:
            states = self.decoded(wanted)
            random_generators.put_states({name: each for name, each in states.items() if name not in but})

    def decoded(self, encoded: Any) -> Any:
        """A value that was kept with it."""
        return decode(encoded, self.load)

    def load(self, name: str, dtype: str) -> Array:
        """One of its arrays."""
        return read_npz_array(self._variables, name, dtype)


def build(model: Any, epoch_iterator: Any) -> None:
    """Make all variables that the first step would make: restoring assigns to them."""
    data = getattr(epoch_iterator, "_distributed_dataset", None)
    if data is not None:  # on other backends than TensorFlow, `fit` has built everything before it calls a callback
        import tensorflow as tf

        def zeros(spec: Any) -> Any:
            return tf.zeros([1 if size is None else size for size in spec.shape], spec.dtype)

        spec = data.element_spec
        model._symbolic_build(data_batch=tf.nest.map_structure(zeros, spec))  # noqa: SLF001 - as Keras' own trainers
    optimizer = getattr(model, "optimizer", None)
    if isinstance(optimizer, keras.optimizers.Optimizer) and not optimizer.built:
        optimizer.build(model.trainable_variables)

"""What a compiled model says of each of its outputs: name, loss, activation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from archiver.collect.data import named_arrays
from archiver.errors import DataError
from archiver.records.scores import Task
from archiver.scoring.hints import Hints

Tasks = Task | Mapping[str, Task] | None
"""What the user says: one task for all outputs, or tasks by Keras' names of the outputs."""


@dataclass(frozen=True)
class Output:
    """One output of a model."""

    path: str
    """Its place in what the model returns: `output`, `output/0`, `output/kind`."""
    name: str
    """Keras' name, or the key in a dict; the place where there is none."""
    key: str | None
    """Key or position; None for the only output."""
    hints: Hints


def outputs_of(
    model: Any, predictions: Any, tasks: Tasks, threshold: float, class_names: tuple[str, ...] | None
) -> list[Output]:
    """The outputs in the order of what the model returned.

    Args:
        model: compiled.
        predictions: what it returned for some batch; only the structure counts.
        tasks: what the user says.
        threshold: of the user.
        class_names: of the user.

    Raises:
        DataError: a task is given for an output that is not there.
    """
    paths = [path for path, _ in named_arrays("output", predictions)]
    keys = [path.partition("/")[2] or None for path in paths]
    names = _names(model, keys)
    unknown = set(tasks) - set(names) if isinstance(tasks, Mapping) else set()
    if unknown:
        raise DataError(f"Received task= for the outputs {sorted(unknown)}. Expected some of {names}.")
    activations = _activations(model, predictions, len(paths))
    return [
        Output(
            path=path,
            name=name,
            key=key,
            hints=_hints(
                loss_of(model, name, key, index),
                activation=activations[index],
                task=tasks.get(name) if isinstance(tasks, Mapping) else tasks,
                threshold=threshold,
                class_names=class_names,
            ),
        )
        for index, (path, name, key) in enumerate(zip(paths, names, keys, strict=True))
    ]


def name_for(names: Iterable[str], output: Output) -> str | None:
    """Which of the targets (or weights; `target/kind`, `target/0`, `target`) belong to an output; None: none of them.

    Those under its key or position, those under Keras' name, or the only ones there are.
    """
    by_key = {name.partition("/")[2]: name for name in names}
    if len(by_key) == 1 and ("" in by_key or output.key is None):
        return next(iter(by_key.values()))
    return next((by_key[key] for key in (output.key, output.name) if key is not None and key in by_key), None)


def _names(model: Any, keys: list[str | None]) -> list[str]:
    known: list[str] = []
    with contextlib.suppress(Exception):  # a subclassed model has no symbolic outputs
        known = [str(tensor._keras_history[0].name) for tensor in model.outputs]  # noqa: SLF001 - as in `activation_of`
    is_by_position = len(known) == len(keys) == len(set(known)) and all(key is None or key.isdecimal() for key in keys)
    return known if is_by_position else [key or "output" for key in keys]


def _activations(model: Any, predictions: Any, count: int) -> list[str | None]:
    """By output; None where the model does not tell (subclassed models)."""
    with contextlib.suppress(Exception):
        tensors = keras.tree.pack_sequence_as(predictions, list(model.outputs))
        return [activation_of(tensor) for _, tensor in named_arrays("output", tensors)]
    return [None] * count


def activation_of(tensor: Any) -> str | None:
    """The activation of the layer that makes a symbolic tensor: `softmax`, `linear`, ...; None where none is known."""
    operation, _, index = tensor._keras_history  # noqa: SLF001 - there is no other way from an output to its layer
    if isinstance(operation, keras.Model):
        return activation_of(operation.outputs[index])
    layer = getattr(operation, "layer", operation)  # of a wrapper such as TimeDistributed
    activation = getattr(layer, "activation", None)
    if activation is not None:
        return str(getattr(activation, "__name__", type(activation).__name__))
    name = type(layer).__name__.lower()
    return name if name in ("softmax", "sigmoid") else None


def loss_of(model: Any, name: str, key: str | None, index: int) -> Any:
    """What `compile` was given as the loss of one output, as Keras resolves it; None where there is none."""
    loss = getattr(model, "loss", None)
    if isinstance(loss, Mapping) and "class_name" not in loss:
        loss = loss.get(name, loss.get(key))
    elif isinstance(loss, Sequence) and not isinstance(loss, str):
        loss = loss[index] if index < len(loss) else None
    with contextlib.suppress(Exception):
        return keras.losses.get(loss)
    return loss


def _hints(loss: Any, **known: Any) -> Hints:
    function = getattr(loss, "fn", loss)
    function = getattr(function, "func", function)  # of a functools.partial
    own = getattr(function, "__name__", type(function).__name__) if loss is not None else None
    arguments = getattr(loss, "keywords", {})
    from_logits = getattr(loss, "from_logits", arguments.get("from_logits"))
    if from_logits is None and own in _CROSS_ENTROPIES:
        from_logits = False  # a function takes probabilities unless it is told otherwise
    ignore_class = getattr(loss, "ignore_class", arguments.get("ignore_class"))
    return Hints(loss=own, from_logits=from_logits, ignore_class=ignore_class, **known)


_CROSS_ENTROPIES = frozenset(
    {
        "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy",
        "categorical_focal_crossentropy", "sparse_categorical_crossentropy",
    }
)  # fmt: skip

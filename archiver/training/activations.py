"""Bytes that one training step keeps of every layer until its gradients are computed, by formula.

Shapes are those of the graph that Keras keeps of a functional or Sequential model: nothing is run. E is the number of
elements of a call's output, u the units, T the steps or queries, S the keys, h the heads, d the length of a key. Each
value counts in the dtype of the output.

    views and InputLayer    0: Reshape, Flatten, Identity (the input is counted with the batch)
    any other call          E: the next layer's gradient needs it
    BatchNormalization, LayerNormalization, GroupNormalization     2 E: the normalised input too
    Dropout and its like    2 E: the mask too; nothing where the rate is 0
    activations             2 E where the function needs its input as well as its output (all but linear, relu, sigmoid,
                            tanh, softmax)
    SimpleRNN, GRU, LSTM    per step: the products of all gates, the gates after their functions (g u each, g = 1, 3, 4)
                            and the states (u, for LSTM 3 u: cell, its tanh, output); E where the sequence is returned
    Bidirectional           both layers, and E
    MultiHeadAttention      queries, keys, values and the attended, T h d each; 2 h T S for the scores before and after
                            softmax, 1 h T S more for dropout; E

A layer that no rule names counts as "any other call", and is listed in the notes when it has variables of its own and
is not one of Keras'. The workspace is the gradient of the largest call, towards its input and from its output: they
are alive together, while those of other calls are not yet or no longer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from archiver.errors import ArgumentError
from archiver.storage.dtypes import dtype_bytes
from archiver.training.flops import Shape, calls, functional_graph

_FROM_OUTPUT = ("linear", "relu", "sigmoid", "tanh", "softmax")
_GATES = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}
_VIEWS = ("Flatten", "Identity", "InputLayer", "Reshape")
_TWICE = ("BatchNormalization", "GroupNormalization", "LayerNormalization")


@dataclass
class Activations:
    """What a step keeps, per sample."""

    by_layer_bytes: dict[str, int] = field(default_factory=dict)
    """By the layer's name, those of a nested model after its own: `mobilenet/conv1`."""
    workspace_bytes: int = 0
    not_modelled: list[str] = field(default_factory=list)

    @property
    def total_bytes(self) -> int:
        """Of all layers."""
        return sum(self.by_layer_bytes.values())


def activations_per_sample(model: Any, float_bytes: int | None = None) -> Activations:
    """What the graph of a model keeps per sample.

    Args:
        model: a functional or Sequential model that is built.
        float_bytes: bytes of a floating-point value; None: as each layer computes.

    Raises:
        ArgumentError: there is no graph, or a length is not known.
    """
    found = Activations()
    _walk(found, model, float_bytes, "")
    return found


def _walk(found: Activations, model: Any, float_bytes: int | None, prefix: str) -> None:
    graph = functional_graph(model)
    if graph is None:
        raise ArgumentError(
            f"Received model {model.name!r} of class {type(model).__name__}. Expected a functional or Sequential model "
            "that knows its input shape: Keras keeps no graph of this one, so what its layers keep cannot be counted."
        )
    for operation, inputs, outputs in calls(graph):
        if functional_graph(operation) is not None:
            _walk(found, operation, float_bytes, f"{prefix}{operation.name}/")
            continue
        sizes = [_known(operation, each) for each in inputs], [_known(operation, each) for each in outputs]
        item_bytes = float_bytes or dtype_bytes(_compute_dtype(operation))
        name = prefix + operation.name
        kept = _kept_elements(operation, *sizes) * item_bytes
        found.by_layer_bytes[name] = found.by_layer_bytes.get(name, 0) + kept
        alive = sum(math.prod(shape) for shapes in sizes for shape in shapes) * item_bytes
        found.workspace_bytes = max(found.workspace_bytes, alive)
        if getattr(operation, "variables", None) and not type(operation).__module__.startswith("keras."):
            found.not_modelled.append(name)


def _compute_dtype(operation: Any) -> str:
    return str(getattr(operation, "compute_dtype", None) or keras.config.floatx())


def _known(operation: Any, shape: tuple[int | None, ...]) -> Shape:
    if any(length is None for length in shape[1:]):
        raise ArgumentError(
            f"Received a model whose layer {operation.name!r} has the shape {shape}. Expected known lengths after the "
            "first: give the input layer its full shape."
        )
    return tuple(int(length) for length in shape[1:] if length is not None)


def _kept_elements(layer: Any, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
    name, elements = type(layer).__name__, sum(math.prod(shape) for shape in outputs)
    if name in _VIEWS:
        return 0
    if name == "Bidirectional":
        both = (layer.forward_layer, layer.backward_layer)
        return elements + sum(_recurrent(each, inputs[0]) for each in both)
    if name in _GATES:
        return _recurrent(layer, inputs[0]) + elements * bool(layer.return_sequences)
    if name == "MultiHeadAttention":
        return _attention(layer, inputs) + elements
    if name in _TWICE:
        return 2 * elements
    if "Dropout" in name or name == "GaussianNoise":
        return 2 * elements if getattr(layer, "rate", 1) else 0
    function = getattr(layer, "activation", None)
    needs_input = function is not None and getattr(function, "__name__", "") not in _FROM_OUTPUT
    return elements * (2 if needs_input else 1)


def _recurrent(layer: Any, shape: Shape) -> int:
    gates, states = _GATES.get(type(layer).__name__, 1), 3 if type(layer).__name__ == "LSTM" else 1
    return shape[0] * int(layer.units) * (2 * gates + states)


def _attention(layer: Any, inputs: Sequence[Shape]) -> int:
    queries, keys = math.prod(inputs[0][:-1]), math.prod(inputs[1][:-1])
    heads, dropout = int(layer.num_heads), bool(getattr(layer, "_dropout", 0))
    projected = heads * (queries + keys) * (int(layer.key_dim) + int(layer.value_dim))
    return projected + (2 + dropout) * heads * queries * keys

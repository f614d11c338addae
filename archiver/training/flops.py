"""Floating-point operations of one forward pass for one sample, counted by formula.

A multiplication, an addition and an evaluation of a function count as one each, so a multiply-add counts as two. Only
what `predict` does is counted: dropout and its like are free. E is the number of elements of a layer's output for one
sample, P the number of positions a layer works at (all axes of the input but the last), d and u the features that go
in and come out, k the number of elements of a window. What depends on the parameters alone and not on the sample (such
as gamma / sqrt(variance)) is not counted.

    Dense                       2 P d u, E for the bias
    EinsumDense                 2 x the product of the lengths of all letters, E for the bias
    Conv                        2 E k d / groups, E for the bias
    Conv...Transpose            2 x (elements of the input) k u, E for the bias
    DepthwiseConv               2 E k, E for the bias
    SeparableConv               depthwise as above without bias, then Conv with k = 1
    pooling                     E k; global pooling: elements of the input
    BatchNormalization          2 E
    LayerNormalization          5 E, E for the scale, E for the centre; GroupNormalization alike
    RMSNormalization            4 E
    Normalization, Rescaling    2 E
    activations                 E; softmax and log-softmax 5 E; linear 0
    SimpleRNN, GRU, LSTM        per step 2 g u (d + u) for the products, g u for their sum, g u for the bias (twice for
                                a GRU with `reset_after`), g u for the activations of the gates, 5 u for the state of
                                LSTM and GRU; g = 1, 3, 4
    Bidirectional               both layers, E to merge (not for concatenation)
    TimeDistributed             the layer inside, once per step
    MultiHeadAttention          four projections like EinsumDense, 2 T S h (d_key + d_value) for the two products of
                                T queries with S keys in h heads, T h d_key to scale, 5 h T S for the softmax
    Attention                   2 T S (d_query + d_value), 5 T S for the softmax
    Add, Multiply, ...          (inputs - 1) E; Average one E more; `x + y` and its like E
    Dot                         2 E x the contracted length
    Embedding, shapes, dropout  0

A convolution counts its padding like the rest, as TensorFlow's profiler does. A subclass with a `call` of its own is
not its parent. A layer that is called several times counts each time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from archiver.records.base import Unavailable
from archiver.records.model import FlopsPart
from archiver.storage.jsonable import qualified_name

METHOD = "analytic: formulas of archiver.training.flops; one multiply-add counts as 2"
SOFTMAX_FLOPS = 5
"""Per element: exponential, maximum, difference, sum, quotient; as TensorFlow's profiler counts."""

Shape = tuple[int, ...]
Shapes = Sequence[Shape]
"""Of the inputs or outputs of one call, without the axis of the samples."""
Formula = Callable[[Any, Shapes, Shapes], int]


class UnknownShapeError(Exception):
    """A length is not known, or a layer does not tell what its formula needs."""


@dataclass
class Flops:
    """What was counted in a model."""

    total: int = 0
    by_layer: dict[int, int | Unavailable] = field(default_factory=dict)
    """By `id` of the layer or nested model, all its calls together."""
    not_counted: Counter[str] = field(default_factory=Counter)
    unknown: str | None = None
    """Why there is no total."""

    def part(self) -> FlopsPart | Unavailable:
        """As a record says it."""
        if self.unknown:
            return Unavailable(unavailable=self.unknown)
        return FlopsPart(per_sample=self.total, method=METHOD, not_counted=dict(sorted(self.not_counted.items())))


def count_flops(model: Any) -> Flops:
    """Count the operations of a model, layer by layer, in the graph that Keras keeps of a functional model."""
    flops = Flops()
    graph = functional_graph(model)
    if graph is None:
        flops.unknown = "Keras keeps no graph of this model that tells how often it calls each layer"
        return flops
    for operation, inputs, outputs in calls(graph):
        _count_call(flops, operation, inputs, outputs)
    return flops


def functional_graph(model: Any) -> Any:
    """The functional model behind a model, which knows every call of a layer; None where there is none, or where a
    subclass calls the layers in its own way."""
    from keras.src.models.functional import Functional

    if isinstance(model, keras.Sequential) and type(model).call is keras.Sequential.call:
        model = getattr(model, "_functional", None)
    return model if isinstance(model, Functional) and type(model).call is Functional.call else None


def calls(graph: Any) -> Iterator[tuple[Any, list[Any], list[Any]]]:
    """Layer or operation, shapes of the inputs, shapes of the outputs (with the axis of the samples), call by call."""
    for depth in sorted(graph._nodes_by_depth, reverse=True):  # noqa: SLF001 - the only way to the graph
        for node in graph._nodes_by_depth[depth]:  # noqa: SLF001
            if not node.is_input:
                yield (
                    node.operation,
                    [tuple(each.shape) for each in node.input_tensors],
                    [tuple(each.shape) for each in node.output_tensors],
                )


def _count_call(flops: Flops, operation: Any, inputs: list[Any], outputs: list[Any]) -> None:
    graph = functional_graph(operation)
    if graph is not None:
        _count_nested(flops, operation)
        return
    formula = formula_of(operation)
    if formula is None:
        flops.not_counted[qualified_name(type(operation))] += 1
        reason = Unavailable(unavailable="there is no formula for its class")
        flops.by_layer.setdefault(id(operation), reason)
        return
    try:
        count = formula(operation, [_known(each) for each in inputs], [_known(each) for each in outputs])
    except UnknownShapeError as error:
        flops.unknown = flops.unknown or f"layer {operation.name}: {error}"
        flops.by_layer[id(operation)] = Unavailable(unavailable=str(error))
        return
    _add(flops, operation, count)
    flops.total += count


def _count_nested(flops: Flops, model: Any) -> None:
    inner = count_flops(model)
    for key, count in inner.by_layer.items():
        known = flops.by_layer.get(key, 0)
        both_known = isinstance(known, int) and isinstance(count, int)
        flops.by_layer[key] = known + count if both_known else count  # type: ignore[operator]
    flops.not_counted.update(inner.not_counted)
    if inner.unknown:
        flops.unknown = flops.unknown or inner.unknown
        flops.by_layer[id(model)] = Unavailable(unavailable=inner.unknown)
    else:
        _add(flops, model, inner.total)
        flops.total += inner.total


def _add(flops: Flops, layer: Any, count: int) -> None:
    known = flops.by_layer.get(id(layer), 0)
    if isinstance(known, int):
        flops.by_layer[id(layer)] = known + count


def _known(shape: tuple[int | None, ...]) -> Shape:
    if any(length is None for length in shape[1:]):
        raise UnknownShapeError(f"the shape {shape} has a length that is not known")
    return tuple(int(length) for length in shape[1:] if length is not None)


def formula_of(operation: Any) -> Formula | None:
    """The formula for a layer or operation; None where there is none, or where a subclass calls in its own way."""
    for ancestor in type(operation).__mro__:
        formula = _FORMULAS.get(ancestor)
        if formula is not None:
            same_call = getattr(type(operation), "call", None) is getattr(ancestor, "call", None)
            return formula if same_call else None
    return None


# -- formulas


def _free(layer: Any, inputs: Shapes, outputs: Shapes) -> int:  # noqa: ARG001 - a formula's signature
    return 0


def _per_element(count: int) -> Formula:
    return lambda layer, inputs, outputs: count * _size(outputs)  # noqa: ARG005


def _product(lengths: Iterable[Any]) -> int:
    return math.prod(int(length) for length in lengths)


def _size(shapes: Shapes) -> int:
    return sum(_product(shape) for shape in shapes)


def activation_flops(activation: Any, elements: int) -> int:
    """Of an activation function for so many elements."""
    name = getattr(activation, "__name__", type(activation).__name__)
    if activation is None or name == "linear":
        return 0
    return (SOFTMAX_FLOPS if name in ("softmax", "log_softmax") else 1) * elements


def _activation(layer: Any, inputs: Shapes, outputs: Shapes) -> int:  # noqa: ARG001
    return activation_flops(layer.activation, _size(outputs))


def _bias_and_activation(layer: Any, outputs: Shapes) -> int:
    elements = _size(outputs)
    has_bias = getattr(layer, "bias", None) is not None
    return elements * has_bias + activation_flops(getattr(layer, "activation", None), elements)


def _dense(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    return 2 * _product(inputs[0]) * int(layer.units) + _bias_and_activation(layer, outputs)


def _einsum_dense(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    return _einsum(layer.equation, inputs[0], tuple(layer.kernel.shape)) + _bias_and_activation(layer, outputs)


def _einsum(equation: str, values: Shape, kernel: Shape) -> int:
    """2 x the product of the lengths of all letters; that of the samples counts as 1."""
    terms, _, _ = equation.replace(" ", "").partition("->")
    left, right = terms.split(",")
    lengths = dict(zip(right, kernel, strict=True))
    before, dots, after = left.partition("...")
    shape = (1, *values)
    rest = len(shape) - len(before) - len(after)
    lengths |= dict(zip(before, shape, strict=False))
    lengths |= dict(zip(after, shape[len(shape) - len(after) :], strict=False))
    extra = _product(shape[len(before) : len(before) + rest]) if dots else 1
    return 2 * extra * _product(lengths.values())


def _conv(layer: Any, inputs: Shapes, outputs: Shapes) -> int:  # noqa: ARG001
    return 2 * _size(outputs) * _product(layer.kernel.shape[:-1]) + _bias_and_activation(layer, outputs)


def _conv_transpose(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    return 2 * _size(inputs) * _product(layer.kernel.shape[:-1]) + _bias_and_activation(layer, outputs)


def _depthwise_conv(layer: Any, inputs: Shapes, outputs: Shapes) -> int:  # noqa: ARG001
    return 2 * _size(outputs) * _product(layer.kernel_size) + _bias_and_activation(layer, outputs)


def _separable_conv(layer: Any, inputs: Shapes, outputs: Shapes) -> int:  # noqa: ARG001
    channels = int(layer.pointwise_kernel.shape[-2])
    positions = _size(outputs) // int(layer.filters)
    depthwise = 2 * positions * channels * _product(layer.kernel_size)
    return depthwise + 2 * _size(outputs) * channels + _bias_and_activation(layer, outputs)


def _pooling(layer: Any, inputs: Shapes, outputs: Shapes) -> int:  # noqa: ARG001
    return _size(outputs) * _product(layer.pool_size)


def _global_pooling(layer: Any, inputs: Shapes, outputs: Shapes) -> int:  # noqa: ARG001
    return _size(inputs)


def _layer_normalization(layer: Any, inputs: Shapes, outputs: Shapes) -> int:  # noqa: ARG001
    per_element = 5 + bool(layer.scale) + bool(layer.center)
    return per_element * _size(outputs)


def _up_sampling(layer: Any, inputs: Shapes, outputs: Shapes) -> int:  # noqa: ARG001
    if getattr(layer, "interpolation", "nearest") != "nearest":
        raise UnknownShapeError(f"there is no formula for the interpolation {layer.interpolation}")
    return 0


def _merge(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    extra = isinstance(layer, keras.layers.Average)
    return (len(inputs) - 1 + extra) * _size(outputs)


def _dot(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    axes = layer.axes if isinstance(layer.axes, int) else layer.axes[0]
    length = inputs[0][axes - 1 if axes > 0 else axes]
    return 2 * length * _size(outputs)


_GATES = {keras.layers.SimpleRNN: 1, keras.layers.GRU: 3, keras.layers.LSTM: 4}


def _recurrent(layer: Any, inputs: Shapes, outputs: Shapes) -> int:  # noqa: ARG001
    steps, features = inputs[0]
    kind = next(kind for kind in _GATES if isinstance(layer, kind))
    gates, units = _GATES[kind], layer.units
    biases = (2 if getattr(layer, "reset_after", False) else 1) if layer.use_bias else 0
    products = 2 * gates * units * (features + units)
    state = 0 if kind is keras.layers.SimpleRNN else 5 * units
    return int(steps * (products + gates * units * (1 + biases + 1) + state))


def _bidirectional(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    total = 0
    for inner in (layer.forward_layer, layer.backward_layer):
        formula = formula_of(inner)
        if formula is not _recurrent:
            raise UnknownShapeError(f"there is no formula for {type(inner).__name__} in it")
        total += formula(inner, inputs, outputs)
    merges = layer.merge_mode in ("sum", "mul", "ave")
    return total + merges * _size(outputs)


def _time_distributed(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    formula = formula_of(layer.layer)
    if formula is None:
        raise UnknownShapeError(f"there is no formula for {type(layer.layer).__name__} in it")
    return inputs[0][0] * formula(layer.layer, [inputs[0][1:]], [each[1:] for each in outputs])


def _attention(layer: Any, inputs: Shapes, outputs: Shapes) -> int:  # noqa: ARG001
    (queries, features), (keys, values) = inputs[0][-2:], inputs[1][-2:]
    return 2 * queries * keys * (features + values) + SOFTMAX_FLOPS * queries * keys


def _multi_head_attention(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    if len(inputs[0]) != 2 or len(inputs[1]) != 2:  # noqa: PLR2004 - time and features
        raise UnknownShapeError("there is no formula for attention over more than one axis")
    queries, keys, heads = inputs[0][0], inputs[1][0], int(layer.num_heads)
    key_length, value_length = int(layer.key_dim), int(layer.value_dim)
    projections = 0
    for inner, positions, elements in (
        (layer.query_dense, queries, queries * heads * key_length),
        (layer.key_dense, keys, keys * heads * key_length),
        (layer.value_dense, keys, keys * heads * value_length),
        (layer.output_dense, queries, _size(outputs[:1])),
    ):
        projections += 2 * positions * _product(inner.kernel.shape) + elements * (inner.bias is not None)
    products = 2 * queries * keys * heads * (key_length + value_length)
    return projections + products + queries * heads * key_length + SOFTMAX_FLOPS * heads * queries * keys


def _formulas() -> dict[type, Formula]:
    layers = keras.layers
    groups: dict[Formula, tuple[str, ...]] = {
        _dense: ("Dense",),
        _einsum_dense: ("EinsumDense",),
        _conv: ("Conv1D", "Conv2D", "Conv3D"),
        _conv_transpose: ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
        _depthwise_conv: ("DepthwiseConv1D", "DepthwiseConv2D"),
        _separable_conv: ("SeparableConv1D", "SeparableConv2D"),
        _pooling: tuple(f"{kind}Pooling{axes}D" for kind in ("Max", "Average") for axes in (1, 2, 3)),
        _global_pooling: tuple(f"Global{kind}Pooling{axes}D" for kind in ("Max", "Average") for axes in (1, 2, 3)),
        _per_element(2): ("BatchNormalization", "Normalization", "Rescaling"),
        _per_element(4): ("RMSNormalization",),
        _layer_normalization: ("LayerNormalization", "GroupNormalization"),
        _per_element(1): ("ReLU", "LeakyReLU", "PReLU", "ELU"),
        _per_element(SOFTMAX_FLOPS): ("Softmax",),
        _activation: ("Activation",),
        _up_sampling: ("UpSampling1D", "UpSampling2D", "UpSampling3D"),
        _merge: ("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average"),
        _dot: ("Dot",),
        _recurrent: ("SimpleRNN", "GRU", "LSTM"),
        _bidirectional: ("Bidirectional",),
        _time_distributed: ("TimeDistributed",),
        _attention: ("Attention",),
        _multi_head_attention: ("MultiHeadAttention",),
        _free: (
            "ActivityRegularization", "AlphaDropout", "Concatenate", "Cropping1D", "Cropping2D", "Cropping3D",
            "Dropout", "Embedding", "Flatten", "GaussianDropout", "GaussianNoise", "Identity", "InputLayer", "Masking",
            "Permute", "RepeatVector", "Reshape", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
            "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
        ),
    }  # fmt: skip
    return {getattr(layers, name): each for each, names in groups.items() for name in names if hasattr(layers, name)}


def _formulas_of_operations() -> dict[type, Formula]:
    """Of what stands in a functional model without a layer, as `x + y` does."""
    from keras.src.ops import numpy as operations

    one, free = _per_element(1), _free
    names = dict.fromkeys(("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum", "Minimum"), one)
    names |= dict.fromkeys(("Reshape", "Transpose", "GetItem", "Squeeze", "ExpandDims", "Concatenate"), free)
    return {getattr(operations, name): each for name, each in names.items() if hasattr(operations, name)}


_FORMULAS = _formulas() | _formulas_of_operations()

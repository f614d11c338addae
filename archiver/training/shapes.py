"""What shapes a layer or model takes and gives, as far as Keras tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from archiver.records.base import Json
from archiver.storage.jsonable import jsonable

_NOT_TOLD = "Keras does not tell: the layer is called from a method of the user's own, or was not called yet"


def model_shapes(model: Any) -> tuple[Json, Json]:
    """Shapes of the inputs and outputs of a model."""
    if getattr(model, "inputs", None) and getattr(model, "outputs", None):
        # Only a functional model knows the structure of dicts and lists; a Sequential has one of each.
        is_functional = hasattr(model, "_inputs_struct")
        return _shapes(model.input if is_functional else model.inputs), _shapes(
            model.output if is_functional else model.outputs
        )
    inputs = _build_shapes(model)
    return inputs or _unavailable(_NOT_TOLD), _computed_output(model) or _unavailable(_NOT_TOLD)


def layer_shapes(layer: Any, nodes: set[int] | None) -> tuple[Json, Json]:
    """Shapes of the inputs and outputs of a layer.

    Args:
        layer: the layer.
        nodes: `id`s of the nodes of the model's graph: a layer may be called elsewhere too. None: there is no graph.
    """
    called = [node for node in getattr(layer, "_inbound_nodes", ()) if nodes is None or id(node) in nodes]
    if called:
        return _of_calls([_inputs(node) for node in called]), _of_calls([_outputs(node) for node in called])
    if isinstance(layer, keras.Model):
        return model_shapes(layer)
    inputs = _build_shapes(layer)
    return inputs or _unavailable(_NOT_TOLD), _computed_output(layer) or _unavailable(_NOT_TOLD)


def graph_nodes(graph: Any) -> set[int] | None:
    """`id`s of the nodes of a functional model; None without one."""
    if graph is None:
        return None
    return {id(node) for nodes in graph._nodes_by_depth.values() for node in nodes}  # noqa: SLF001 - no public way


def _unavailable(reason: str) -> Json:
    return {"unavailable": reason}


def _of_calls(shapes: list[Json]) -> Json:
    return shapes[0] if all(each == shapes[0] for each in shapes) else {"calls": shapes}


def _inputs(node: Any) -> Json:
    if node.is_input:
        return _outputs(node)
    arguments = node.arguments
    # As it was called: one structure for the one argument of most layers, several tensors otherwise.
    if len(arguments.args) == 1 and not _tensors(list(arguments.kwargs.values())):
        return _shapes(arguments.args[0])
    return _shapes(list(node.input_tensors))


def _outputs(node: Any) -> Json:
    tensors = list(node.output_tensors)
    return _shapes(tensors[0] if len(tensors) == 1 else tensors)


def _tensors(value: Any) -> list[Any]:
    return [each for each in keras.tree.flatten(value) if isinstance(each, keras.KerasTensor)]


def _shapes(value: Any) -> Json:
    if isinstance(value, dict):
        return {str(key): _shapes(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        shapes = [_shapes(item) for item in value]
        return shapes[0] if len(shapes) == 1 else shapes
    return jsonable(tuple(value.shape)) if hasattr(value, "shape") else None


def _build_shapes(layer: Any) -> Json:
    """The shapes that `build` was given; None where it was not called."""
    known = getattr(layer, "_build_shapes_dict", None)
    if not known:
        return None
    shapes = list(known.values())
    return jsonable(shapes[0]) if len(shapes) == 1 else jsonable(dict(known))


def _computed_output(layer: Any) -> Json:
    """What a `compute_output_shape` of the layer's class makes of these; None where it has none.

    The one that all layers inherit would run the layer's `call`.
    """
    own: Callable[..., Any] | None = getattr(type(layer), "compute_output_shape", None)
    known = getattr(layer, "_build_shapes_dict", None)
    if not known or own in (keras.layers.Layer.compute_output_shape, keras.Model.compute_output_shape):
        return None
    try:
        return jsonable(layer.compute_output_shape(**known))
    except Exception:  # noqa: BLE001 - a layer of the user's own may raise anything
        return None

"""What keeps a training from going on bit for bit as if it had not been cut off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from archiver.training.capture import FitCall
from archiver.training.datasets import data_kind
from archiver.training.random_states import seeds

RANDOM_OPERATIONS = frozenset({
    "RandomUniform", "RandomUniformInt", "RandomStandardNormal", "TruncatedNormal", "ParameterizedTruncatedNormal",
    "RandomShuffle", "Multinomial", "RandomGamma", "RandomGammaGrad", "RandomPoisson", "RandomPoissonV2",
})  # fmt: skip
"""TensorFlow's operations whose state is neither a variable nor to be read."""


def reasons_of_call(call: FitCall) -> Iterator[str]:
    """Why what goes on from a snapshot of this `fit` may differ, a sentence each, as far as `fit` tells."""
    if not isinstance(seeds().keras, int):
        yield "No seed was set: call archiver.seed(...) before the model is made, or another process shuffles anew."
    yield from _of_data(call)


def reasons_of_state(model: Any, not_kept: Iterable[str]) -> Iterator[str]:
    """The same, as far as the model and what was taken of it tell."""
    for each in not_kept:
        yield f"{each} could not be kept: it is no plain value, and there is no get_archive_state."
    operations = sorted(stateful_operations(model))
    if operations:
        yield (
            f"The model draws random numbers by {', '.join(operations)}, whose state TensorFlow shows to nobody: use "
            "keras.random with a SeedGenerator instead of tf.random."
        )


def _of_data(call: FitCall) -> Iterator[str]:
    for name, role in (("x", "training"), ("val_x", "validation")):
        x = call.resolved.get(name)
        kind = None if x is None else data_kind(x)
        workers = getattr(x, "workers", 1)
        if kind == "pydataset" and isinstance(workers, int) and workers > 1:
            yield f"The {role} data are read by {workers} workers: random numbers they draw are drawn in any order."
        elif kind == "other":
            yield f"The {role} data come from an object whose position cannot be set."


def stateful_operations(model: Any) -> set[str]:
    """TensorFlow's stateful random operations in the compiled training step; empty before the first step."""
    function = getattr(model, "train_function", None)
    concrete = getattr(function, "_list_all_concrete_functions", None)
    if concrete is None:
        return set()
    found: set[str] = set()
    for each in concrete():
        definition = each.graph.as_graph_def()
        found |= {node.op for node in definition.node}
        found |= {node.op for inner in definition.library.function for node in inner.node_def}
    return found & RANDOM_OPERATIONS

"""Looking along a tf.data pipeline, from its end to its beginning, without iterating it.

TensorFlow has no public way to do so; the attributes read here are those of 2.17 to 2.21. Where they are missing, less
is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from archiver.records.base import Unavailable
from archiver.training.reading import known

MAXIMAL_STAGES = 1000

_KEEP_BATCHES = ("Prefetch", "Shuffle", "Repeat", "Cache", "Options", "Take", "Skip", "Shard", "AssertCardinality")


def stages(dataset: Any) -> Iterator[Any]:
    """The data sets a pipeline is made of, last stage first; of several inputs the first."""
    for _ in range(MAXIMAL_STAGES):
        yield dataset
        inputs = getattr(dataset, "_input_dataset", None)
        if inputs is None:
            return
        dataset = inputs


def static_batch_size(dataset: Any) -> int | Unavailable:
    """Samples in a full batch, where the pipeline shows it."""
    from_shape = known(lambda: _first_length(dataset.element_spec))
    if isinstance(from_shape, int):
        return from_shape
    for stage in stages(dataset):
        name = type(stage).__name__
        if "Batch" in name and hasattr(stage, "_batch_size"):
            return known(partial(_own_batch_size, stage))  # type: ignore[no-any-return]
        if not any(kept in name for kept in _KEEP_BATCHES):
            return Unavailable(unavailable=f"the pipeline does not show it: its stage {name} makes the batches")
    return Unavailable(unavailable="the pipeline does not show it")


def _own_batch_size(stage: Any) -> int:
    return int(stage._batch_size)  # noqa: SLF001


def _first_length(spec: Any) -> int | None:
    import tensorflow as tf

    shape = tf.nest.flatten(spec)[0].shape
    return None if shape.rank in (None, 0) or shape[0] is None else int(shape[0])


def order_of_tf_data(dataset: Any, *, is_deterministic: bool) -> list[str]:
    """Sentences on stages whose order of elements is left to chance.

    Args:
        dataset: the end of the pipeline.
        is_deterministic: whether TensorFlow's operations, those of tf.data included, were made deterministic.
    """
    found = []
    for stage in stages(dataset):
        if known(partial(_is_unseeded, stage)) is True:
            found.append(
                "The tf.data pipeline shuffles without a seed: the order of the samples differs each time. Give "
                "shuffle(..., seed=...), or call archiver.seed(...) before the pipeline is made."
            )
        if not is_deterministic and known(partial(_is_out_of_order, stage)) is True:
            found.append(
                "The tf.data pipeline may hand out elements in the order in which they are ready. Set "
                "deterministic=True where it is False."
            )
    return list(dict.fromkeys(found))


def _is_unseeded(stage: Any) -> bool:
    if "Shuffle" not in type(stage).__name__:
        return False
    return int(stage._seed) == 0 and int(stage._seed2) == 0  # noqa: SLF001


def _is_out_of_order(stage: Any) -> bool:
    own = getattr(stage, "_deterministic", None)
    return own == "false" or own is False or stage.options().deterministic is False

"""The test data that `finalize` was given: checked against the model, and read batch by batch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from archiver.collect.data import as_array, labels_of, named_arrays
from archiver.errors import DataError
from archiver.training.datasets import Data, as_data, data_kind, source_of


@dataclass(frozen=True)
class EvaluationData:
    """What the model is evaluated on."""

    given: Data
    """Inputs, targets and sample weights as they are described: of a data set only the first."""
    x: Any
    """What Keras is given: arrays, or a data set that ends."""
    y: Any
    sample_weight: Any

    @property
    def is_arrays(self) -> bool:
        """Whether it is arrays, not a data set."""
        return data_kind(self.x) == "arrays"

    def batches(self) -> Iterator[Data]:
        """Inputs, targets and sample weights of each batch of a data set, in one pass over it."""
        is_pydataset = isinstance(self.x, keras.utils.PyDataset)
        elements = (self.x[index] for index in range(self.x.num_batches)) if is_pydataset else iter(self.x)
        for element in elements:
            yield keras.utils.unpack_x_y_sample_weight(element)


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches by number: those drawn from a generator, or the first of a data set."""

    def __init__(self, get: Callable[[int], Any], count: int) -> None:
        super().__init__()
        self._get, self._count = get, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Any:
        return self._get(index)


def unpack(test_data: Any, steps: int | None) -> EvaluationData:
    """What `finalize` was given; a generator is drawn from here, once.

    Raises:
        DataError: it is nothing that a model can be evaluated on, or has no end.
    """
    kind = data_kind(test_data)
    if kind == "generator":
        batches = _Batches(_drawn(test_data, steps).__getitem__, steps or 0)
        return EvaluationData((batches, None, None), batches, None, None)
    data = as_data(test_data)
    if data is None or (data[1] is None and data_kind(data[0]) == "arrays"):
        raise DataError(
            f"Received test_data of type {type(test_data).__name__}. "
            "Expected (x, y), (x, y, sample_weight), a tf.data.Dataset, a PyDataset, or a generator with steps=."
        )
    source = source_of(data[0])
    if source is not None:
        return EvaluationData(data, source.x, source.y, source.sample_weight)
    return EvaluationData(data, _ending(data[0], steps), data[1], data[2])


def _drawn(generator: Any, steps: int | None) -> list[Any]:
    if steps is None:
        raise DataError("Received a generator as test_data without steps=. Expected the number of batches to draw.")
    batches = list(itertools.islice(generator, steps))
    if len(batches) < steps:
        raise DataError(f"Received a generator that ended after {len(batches)} batches. Expected steps={steps}.")
    return batches


def _ending(x: Any, steps: int | None) -> Any:
    """The data set, or its first `steps` batches."""
    kind = data_kind(x)
    if kind == "tf_data":
        endless = int(x.cardinality()) == -1
    elif kind == "pydataset":
        endless = x.num_batches is None
    else:
        return x
    if endless and steps is None:
        raise DataError(f"Received a {type(x).__name__} without end as test_data. Expected steps=, or one that ends.")
    if steps is None:
        return x
    return x.take(steps) if kind == "tf_data" else _Batches(x.__getitem__, min(steps, x.num_batches or steps))


def check_shapes(model: Any, x: Any, y: Any) -> None:
    """Compare arrays with the inputs of a built model.

    Raises:
        DataError: the number of inputs, a shape or a number of samples does not fit.
    """
    if data_kind(x) != "arrays":
        return
    arrays = named_arrays("x", x)
    everything = [*arrays, *named_arrays("y", y)]
    plain = next((name.partition("/")[0] for name, value in everything if not hasattr(value, "shape")), None)
    if plain is not None:
        raise DataError(f"Received test data whose {plain} is made of lists. Expected NumPy arrays or tensors.")
    lengths = {name: len(value) for name, value in everything}
    if 0 in lengths.values():
        raise DataError(f"Received test data of the lengths {lengths}. Expected at least 1 sample.")
    if len(set(lengths.values())) > 1:
        raise DataError(f"Received test data of different lengths: {lengths}. Expected the same number of samples.")
    inputs = getattr(model, "inputs", None)
    if not inputs or (isinstance(x, dict) and len(arrays) >= len(inputs)):
        return
    if len(arrays) != len(inputs):
        raise DataError(f"Received test data with {len(arrays)} inputs. Expected {len(inputs)}.")
    for (name, value), tensor in zip(arrays, inputs, strict=True):
        received, expected = tuple(np.shape(value))[1:], tuple(tensor.shape)[1:]
        if not _fits(received, expected):
            raise DataError(
                f"Received test data {name} with samples of shape {received}. Expected {expected}, as the model has it."
            )


def _fits(received: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    # Keras itself adds or drops a last axis of length 1.
    candidates = [received, (*received, 1)] + ([received[:-1]] if received[-1:] == (1,) else [])
    return any(
        len(shape) == len(expected) and all(b is None or a == b for a, b in zip(shape, expected, strict=True))
        for shape in candidates
    )


def check_class_names(class_names: tuple[str, ...] | None, model: Any, y: Any) -> None:
    """Compare class names with labels and with the model's output.

    Raises:
        DataError: there are more classes than names, or another number of outputs.
    """
    if class_names is None:
        return
    targets = named_arrays("y", y)
    if len(targets) == 1:
        array = as_array(targets[0][1])
        labels = labels_of(array)
        is_one_hot = array.ndim == 2 and array.shape[1] > 1  # noqa: PLR2004
        needed = array.shape[1] if is_one_hot else int(labels.max()) + 1 if labels is not None and labels.size else 0
        if needed > len(class_names) or (is_one_hot and needed != len(class_names)):
            raise DataError(
                f"Received {len(class_names)} class names for labels of {needed} classes. Expected {needed}."
            )
    _check_outputs(class_names, model)


def _check_outputs(class_names: tuple[str, ...], model: Any) -> None:
    shape = getattr(model, "output_shape", None) if getattr(model, "built", False) else None
    width = shape[-1] if isinstance(shape, tuple) and len(shape) == 2 else None  # noqa: PLR2004
    if isinstance(width, int) and width > 1 and width != len(class_names):
        raise DataError(f"Received {len(class_names)} class names for a model with {width} outputs. Expected {width}.")

"""Evaluating the model on test data, after training."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from archiver import layout
from archiver.archive.run import Run
from archiver.collect.data import as_array, labels_of, named_arrays
from archiver.collect.splits import DescribedSplit
from archiver.errors import DataError
from archiver.records.base import Unavailable, utc_now
from archiver.records.results import PredictionsPart, TestResults
from archiver.storage import files
from archiver.storage.npz import write_npz
from archiver.training.datasets import as_data, data_kind, describe_split, source_of
from archiver.training.weights import raw_bytes

MAXIMAL_PREDICTION_BYTES = 16 << 20
"""Predictions beyond it are not stored; their digest always covers all of them."""
MAXIMAL_MESSAGE_LENGTH = 520


@dataclass(frozen=True)
class Evaluation:
    """What came out of the test data."""

    results: TestResults
    split: DescribedSplit
    stored: dict[str, NDArray[Any]]


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches drawn once from a generator, so that they can be evaluated and predicted."""

    def __init__(self, batches: Sequence[Any]) -> None:
        super().__init__()
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Any:
        return self._batches[index]


def unpack(test_data: Any, steps: int | None) -> tuple[Any, Any, Any]:
    """`(x, y, sample_weight)` of what `finalize` was given; a generator is drawn from here, once.

    Raises:
        DataError: it is nothing that a model can be evaluated on.
    """
    if data_kind(test_data) == "generator":
        if steps is None:
            raise DataError("Received a generator as test_data without steps=. Expected the number of batches to draw.")
        batches = list(itertools.islice(test_data, steps))
        if len(batches) < steps:
            raise DataError(f"Received a generator that ended after {len(batches)} batches. Expected steps={steps}.")
        return _Batches(batches), None, None
    data = as_data(test_data)
    if data is not None and (data[1] is not None or data_kind(data[0]) != "arrays"):
        return data
    raise DataError(
        f"Received test_data of type {type(test_data).__name__}. "
        "Expected (x, y), (x, y, sample_weight), a tf.data.Dataset, a PyDataset, or a generator with steps=."
    )


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


def evaluate(
    model: Any, data: tuple[Any, Any, Any], *, weights_digest: str, batch_size: int | None, run: Run
) -> Evaluation:
    """Losses and metrics as compiled, and the predictions.

    Raises:
        DataError: Keras cannot evaluate the model on this data.
    """
    x, y, sample_weight = data
    keras_x, keras_y = (source_of(x).x, source_of(x).y) if source_of(x) is not None else (x, y)  # type: ignore[union-attr]
    try:
        metrics = model.evaluate(
            keras_x, keras_y, sample_weight=sample_weight, batch_size=batch_size, verbose=0, return_dict=True
        )
        outputs = model.predict(keras_x, batch_size=batch_size, verbose=0)
    except Exception as error:
        raise DataError(
            f"The model could not be evaluated on the test data ({type(error).__name__}): {_shortened(str(error))}"
        ) from error
    arrays = {name: np.asarray(value) for name, value in named_arrays("output", outputs)}
    stored = _stored(arrays)
    counts = {len(array) for array in arrays.values() if array.ndim}
    results = TestResults(
        evaluated=utc_now(),
        weights_digest=weights_digest,
        sample_count=counts.pop() if len(counts) == 1 else Unavailable(unavailable="the outputs differ in length"),
        metrics={name: float(value) for name, value in metrics.items()},
        predictions=tuple(_part(name, array, stored) for name, array in arrays.items()),
        predictions_file=layout.PREDICTIONS.path(run.name),
    )
    return Evaluation(results, describe_split(x, y, sample_weight), stored)


def _shortened(text: str) -> str:
    """Keras puts whole arrays and tracebacks into its messages; what went wrong stands at the beginning or the end."""
    text = " ".join(text.split())
    return text if len(text) <= MAXIMAL_MESSAGE_LENGTH else f"{text[:200]} ... {text[-300:]}"


def _stored(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    room = MAXIMAL_PREDICTION_BYTES // max(1, len(arrays))
    rows = {name: max(0, room // max(1, array[:1].nbytes)) for name, array in arrays.items()}
    return {name: array[: rows[name]] for name, array in arrays.items()}


def _part(name: str, array: NDArray[Any], stored: dict[str, NDArray[Any]]) -> PredictionsPart:
    little = np.ascontiguousarray(
        array.astype(array.dtype.newbyteorder("<")) if array.dtype.byteorder == ">" else array
    )
    return PredictionsPart(
        output=name,
        shape=array.shape,
        dtype=array.dtype.name,
        sha256=hashlib.sha256(raw_bytes(little)).hexdigest(),
        stored_count=len(stored[name]),
    )


def write_predictions(run: Run, evaluation: Evaluation) -> None:
    """Write the stored predictions, one array per output."""
    with files.replacing(run.path_of(layout.PREDICTIONS)) as temporary:
        write_npz(temporary, evaluation.stored.items())

"""The predictions of a regression's output and what is true, as the archive holds them, for a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archiver import layout
from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.records.base import Unavailable
from archiver.storage.npz import read_npz_array
from archiver.storage.reading import open_below

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archiver.records.results import PredictionsPart

_REAL = "iuf"


def target_and_prediction(run: Run, results: Any, output: str) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Both of shape (n,); None where they are not stored, or are more than one number per sample.

    Args:
        run: the archive.
        results: its record of results.
        output: Keras' name of the output.
    """
    test = results.test
    parts = () if isinstance(test, Unavailable) or isinstance(test.predictions, Unavailable) else test.predictions
    part = next((part for part in parts if part.name == output), None)
    if part is None or isinstance(part.target, Unavailable):
        return None
    try:
        target, predicted = _read(run, part)
    except (OSError, ArchiverError):
        return None
    is_plain = target.dtype.kind in _REAL and predicted.dtype.kind in _REAL
    is_one_each = target.ndim and len(target) == target.size == predicted.size
    return (target.reshape(-1), predicted.reshape(-1)) if is_plain and is_one_each else None


def _read(run: Run, part: PredictionsPart) -> tuple[NDArray[Any], NDArray[Any]]:
    assert not isinstance(part.target, Unavailable)
    with open_below(run.path, layout.PREDICTIONS.path(run.name)) as file:
        target = read_npz_array(file, part.target.array, part.target.dtype)
        return target, read_npz_array(file, part.output, part.dtype)

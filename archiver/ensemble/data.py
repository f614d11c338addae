"""The data of a search: checked, told apart by digests, and put where all processes read them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archiver.ensemble.scores import Labels, Probabilities
from archiver.errors import DataError, MissingExtraError
from archiver.storage.files import replacing

Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Splits:
    """Features and labels by split: `train`, `selection`, maybe `test`."""

    data: dict[str, Pair]
    classes: tuple[Any, ...]
    """The labels of the training data, in order."""
    numbers: dict[str, Labels]
    """By split, the labels as places in `classes`."""
    digests: dict[str, str]

    @property
    def sample_count(self) -> int:
        """Of the training data."""
        return _length(self.data["train"][0])

    @property
    def feature_count(self) -> int:
        """Numbers per sample."""
        shape = getattr(self.data["train"][0], "shape", (0, 1))
        return int(np.prod(shape[1:], dtype=np.int64))

    @property
    def data_bytes(self) -> int:
        """Of the training data's features."""
        x = self.data["train"][0]
        if hasattr(x, "memory_usage"):
            return int(x.memory_usage(deep=True).sum())
        sparse = getattr(getattr(x, "data", None), "nbytes", 0)
        return int(getattr(x, "nbytes", sparse))

    def stage_two_parts(
        self, inputs: Probabilities, validation_share: float, seed: int
    ) -> dict[str, tuple[Probabilities, Labels]]:
        """The selection data of the second stage, divided by class: always in the same way."""
        from sklearn.model_selection import train_test_split

        labels = self.numbers["selection"]
        found = train_test_split(np.arange(len(labels)), test_size=validation_share, random_state=seed, stratify=labels)
        return {name: (inputs[rows], labels[rows]) for name, rows in zip(("train", "validation"), found, strict=True)}


def checked_splits(train: Pair, selection: Pair, test: Pair | None) -> Splits:
    """The splits.

    Raises:
        DataError: something is no pair, lengths differ, or a class is missing.
        MissingExtraError: joblib is not installed.
    """
    try:
        import joblib
    except ImportError as error:
        raise MissingExtraError("joblib is not installed. pip install 'keras-archiver[ensemble]'") from error
    given = {"train": train, "selection": selection} | ({} if test is None else {"test": test})
    data = {name: _pair(name, pair) for name, pair in given.items()}
    labels = {name: np.asarray(y) for name, (_, y) in data.items()}
    classes = tuple(np.unique(labels["train"]).tolist())
    if len(classes) < 2:  # noqa: PLR2004 - one class needs no classifier
        raise DataError(f"Received training labels of {len(classes)} class(es). Expected at least two classes.")
    numbers = {name: _numbers(name, each, classes) for name, each in labels.items()}
    return Splits(data, classes, numbers, {name: str(joblib.hash(pair)) for name, pair in data.items()})


def _pair(name: str, pair: Any) -> Pair:
    if not isinstance(pair, tuple | list) or len(pair) != 2:  # noqa: PLR2004 - features and labels
        raise DataError(f"Received {name}= of type {type(pair).__name__}. Expected (features, labels).")
    x, y = pair
    shape = np.shape(y)
    if len(shape) != 1 or _length(x) != shape[0] or not shape[0]:
        raise DataError(
            f"Received {name}= with {_length(x)} samples and labels of shape {shape}. Expected one label per sample."
        )
    return x, y


def _length(x: Any) -> int:
    return int(x.shape[0]) if hasattr(x, "shape") else len(x)


def _numbers(name: str, labels: Any, classes: tuple[Any, ...]) -> Labels:
    places = {label: place for place, label in enumerate(classes)}
    found = set(labels.tolist())
    if found != set(classes):
        unknown, missing = sorted(map(repr, found - set(classes))), sorted(map(repr, set(classes) - found))
        what = (
            f"the label {unknown[0]}, which no training sample has" if unknown else f"no sample of class {missing[0]}"
        )
        raise DataError(f"Received {name}= with {what}. Expected every class of the training data, and no other.")
    return np.array([places[label] for label in labels.tolist()], np.int64)


def write_data(folder: Path, splits: Splits) -> None:
    """Put the data where `read_data` finds them.

    Raises:
        StorageError: the file system refused.
    """
    import joblib

    with replacing(folder / "data.joblib") as temporary:
        joblib.dump(splits.data, temporary)

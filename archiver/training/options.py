"""The arguments of `RunArchiver`, validated before anything is touched."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from archiver.archive.claiming import OnExisting
from archiver.collect.redaction import redact_json, redact_text
from archiver.errors import ArgumentError
from archiver.naming import RunName
from archiver.records.base import Json
from archiver.storage.jsonable import jsonable
from archiver.training.datasets import Data, as_data
from archiver.training.models import FORMATS

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Options:
    """What the user asked for. The JSON fields are plain JSON already, secrets removed."""

    root: Path
    name: RunName
    data: dict[str, Data]
    """By split: what is described instead of what `fit` was given."""
    class_names: tuple[str, ...] | None
    preprocessing: Json
    hyperparameters: Json
    dataset_source: Json
    notes: Json
    tags: tuple[str, ...]
    group: str | None
    on_existing: OnExisting
    formats: tuple[str, ...]
    monitor: str | None


def plain(value: Any) -> Json:
    """A user's value as JSON without secrets."""
    return redact_json(jsonable(value))


def checked_root(root: str | os.PathLike[str]) -> Path:
    """The folder of the runs, absolute.

    Raises:
        ArgumentError: it is a file, or runs cannot be made in it.
    """
    if not isinstance(root, str | os.PathLike) or not str(root):
        raise ArgumentError(f"Received root={root!r} ({type(root).__name__}). Expected the path of a folder.")
    path = Path(os.path.abspath(root))
    nearest = path
    while not os.path.exists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    if not os.path.isdir(nearest):
        raise ArgumentError(f"Received root={str(root)!r}, but {nearest} is a file. Expected a folder, or a free path.")
    effective = os.access in os.supports_effective_ids
    if not os.access(nearest, os.W_OK | os.X_OK, effective_ids=effective):
        raise ArgumentError(
            f"Received root={str(root)!r}, but {nearest} cannot be written to. Expected a folder that can."
        )
    return path


def checked_data(data: Any) -> dict[str, Data]:
    """The data by split, from `data=`.

    Raises:
        ArgumentError: it is nothing that can be described.
    """
    if data is None:
        return {}
    splits = data if isinstance(data, dict) and set(data) <= set(SPLITS) else {"train": data}
    found = {name: as_data(value) for name, value in splits.items()}
    wrong = [name for name, value in found.items() if value is None]
    if wrong or not found:
        raise ArgumentError(
            f"Received data= with {wrong[0] if wrong else 'no'} data of type {type(data).__name__}. Expected (x, y), "
            "a data set, or a dict of these by 'train', 'validation', 'test'."
        )
    return {name: value for name, value in found.items() if value is not None}


def checked_names(names: Iterable[Any] | None) -> tuple[str, ...] | None:
    """Class names as text, in the order of the class numbers.

    Raises:
        ArgumentError: they are no names, or one stands twice.
    """
    if names is None:
        return None
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise ArgumentError(f"Received class_names={names!r}. Expected a list of names, one for each class number.")
    texts = tuple(redact_text(str(name)) for name in names)
    double = next((text for text in texts if texts.count(text) > 1), None) if len(texts) < 10_000 else None  # noqa: PLR2004
    if not texts or double is not None:
        what = f"{double!r} twice" if double is not None else "none"
        raise ArgumentError(f"Received class_names with {what}. Expected a different name for each class number.")
    return texts


def checked_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """The model formats to write.

    Raises:
        ArgumentError: one is not known.
    """
    if isinstance(formats, str) or any(name not in FORMATS for name in formats):
        raise ArgumentError(f"Received formats={formats!r}. Expected some of {', '.join(map(repr, FORMATS))}.")
    return tuple(dict.fromkeys(formats))


def checked_choice(argument: str, value: Any, choices: Any) -> Any:
    """`value`, if it is one of the choices of a Literal type.

    Raises:
        ArgumentError: it is not.
    """
    if value not in get_args(choices):
        raise ArgumentError(
            f"Received {argument}={value!r}. Expected one of {', '.join(map(repr, get_args(choices)))}."
        )
    return value


def checked_texts(argument: str, value: Iterable[Any]) -> tuple[str, ...]:
    """A list of texts.

    Raises:
        ArgumentError: it is something else.
    """
    items = None if isinstance(value, str | bytes) or not isinstance(value, Iterable) else tuple(value)
    if items is None or not all(isinstance(item, str) for item in items):
        raise ArgumentError(f"Received {argument}={value!r}. Expected a list of texts.")
    return tuple(redact_text(item) for item in items)


def checked_hyperparameters(value: Any) -> Json:
    """Hyper-parameters as plain JSON.

    Raises:
        ArgumentError: they have no names.
    """
    found = plain(value)
    if value is not None and (not isinstance(found, dict) or set(found) in ({"object"}, {"array"}, {"bytes"})):
        raise ArgumentError(
            f"Received hyperparameters of type {type(value).__name__}. Expected a dict, an argparse.Namespace or a "
            "dataclass."
        )
    return found


def checked_count(argument: str, value: Any) -> int | None:
    """A whole number of at least 1, or None.

    Raises:
        ArgumentError: it is something else.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ArgumentError(f"Received {argument}={value!r}. Expected a whole number of at least 1, or None.")
    return value


def checked_text(argument: str, value: Any) -> str | None:
    """A text or None.

    Raises:
        ArgumentError: it is something else.
    """
    if value is not None and (not isinstance(value, str) or not value):
        raise ArgumentError(f"Received {argument}={value!r}. Expected a text or None.")
    return None if value is None else redact_text(value)

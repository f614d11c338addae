"""The arguments of a call of `fit`: as given, as resolved, and what they come to."""

from __future__ import annotations

from typing import Any, Literal

from archiver.collect.redaction import redact_json
from archiver.records.base import Json, Unavailable
from archiver.records.training import ValidationPart
from archiver.storage.bounding import bounded
from archiver.storage.jsonable import jsonable, qualified_name
from archiver.training.capture import FitCall
from archiver.training.datasets import data_kind, source_of, windows_of
from archiver.training.reading import count_or, known, or_reason, whole
from archiver.training.tf_data import static_batch_size

DEFAULT_BATCH_SIZE = 32
"""What Keras takes for arrays where no batch size is given."""

_DATA_ARGUMENTS = ("x", "y", "sample_weight", "validation_data")
_OF_FIT = (
    "x", "y", "batch_size", "epochs", "verbose", "validation_split", "validation_data", "shuffle", "class_weight",
    "sample_weight", "initial_epoch", "steps_per_epoch", "validation_steps", "validation_batch_size",
    "validation_freq",
)  # fmt: skip
_NOT_KNOWN = "the arguments of fit are not known"


def given_arguments(call: FitCall) -> Json:
    """The arguments as the user gave them; callbacks have a place of their own."""
    return {name: _argument(name, value) for name, value in call.given.items() if name != "callbacks"}


def resolved_arguments(call: FitCall) -> Json:
    """Every argument of Keras' `fit`, defaults included, or an `unavailable` object with the reason."""
    if not call.resolved:
        return {"unavailable": call.note or _NOT_KNOWN}
    return {name: _argument(name, call.resolved[name]) for name in _OF_FIT if name in call.resolved}


def _argument(name: str, value: Any) -> Json:
    if name in _DATA_ARGUMENTS:
        return or_reason(lambda: _shapes(value))
    return bounded(redact_json(jsonable(value)))


def _shapes(value: Any) -> Json:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return {"array": {"shape": [whole(size) for size in value.shape], "dtype": str(value.dtype)}}
    if isinstance(value, dict):
        return {str(key): _shapes(item) for key, item in value.items()}
    if isinstance(value, tuple) or (isinstance(value, list) and any(hasattr(item, "shape") for item in value)):
        return [_shapes(item) for item in value]
    if isinstance(value, list):
        return {"list": len(value)}
    return None if value is None else {"object": qualified_name(type(value))}


def batch_size(call: FitCall) -> int | Unavailable:
    """Samples in a full batch of the training data."""
    known_arguments = call.given | call.resolved
    if not known_arguments:
        return Unavailable(unavailable=call.note or _NOT_KNOWN)
    return _batch_size(known_arguments.get("x"), known_arguments.get("batch_size"))


def _batch_size(x: Any, argument: Any) -> int | Unavailable:
    source = source_of(x) or windows_of(x)
    if source is not None:
        return source.batch_size
    kind = data_kind(x)
    if kind == "arrays":
        return whole(argument) or DEFAULT_BATCH_SIZE
    if kind == "tf_data":
        return static_batch_size(x)
    size = whole(getattr(x, "batch_size", None))
    if size is not None and size > 0:
        return size
    return Unavailable(unavailable=f"the data set makes its batches itself ({qualified_name(type(x))})")


def steps_per_epoch(call: FitCall) -> int | Unavailable:
    """Steps in an epoch, as far as Keras knows when training begins."""
    given = whole((call.given | call.resolved).get("steps_per_epoch"))
    number = given or getattr(call.epoch_iterator, "num_batches", None)
    return count_or(number, "known only when the first epoch has ended" if call.epoch_iterator else _NOT_KNOWN)


def sample_weight_given(call: FitCall) -> bool | Unavailable:
    """Whether `sample_weight=` was given; a data set may hold weights as the third part of its batches."""
    known_arguments = call.given | call.resolved
    if not known_arguments:
        return Unavailable(unavailable=call.note or _NOT_KNOWN)
    return known_arguments.get("sample_weight") is not None


def validation(call: FitCall) -> ValidationPart | Unavailable:
    """How the model is validated while it trains."""
    arguments = call.given | call.resolved
    if not arguments:
        return Unavailable(unavailable=call.note or _NOT_KNOWN)
    split = arguments.get("validation_split")
    source: Literal["none", "validation_data", "validation_split"] = "validation_split" if split else "validation_data"
    if arguments.get("validation_data") is None and not split:
        return ValidationPart(source="none", frequency=jsonable(arguments.get("validation_freq", 1)))
    x = arguments.get("val_x")
    size = _batch_size(x, arguments.get("validation_batch_size") or arguments.get("batch_size"))
    return ValidationPart(
        source=source,
        split=float(split) if split else None,
        batch_size=size,
        steps=whole(arguments.get("validation_steps")) or _steps(x, size),
        frequency=jsonable(arguments.get("validation_freq", 1)),
    )


def _steps(x: Any, size: int | Unavailable) -> int | Unavailable:
    """Batches in a data set: by its length, where it tells it."""
    unknown = Unavailable(unavailable="the data set does not tell its length")
    kind = data_kind(x)
    if kind == "arrays" and isinstance(size, int):
        count = known(lambda: len(_first_array(x)))
        return -(-count // size) if isinstance(count, int) else unknown
    windows = windows_of(x)
    if windows is not None:
        return windows.batch_count
    if kind == "tf_data":
        return count_or(known(lambda: int(x.cardinality())), unknown.unavailable)
    if kind in ("pydataset", "array_batches"):
        return count_or(known(lambda: x.num_batches if hasattr(x, "num_batches") else len(x)), unknown.unavailable)
    return count_or(known(lambda: len(x)), unknown.unavailable)


def _first_array(x: Any) -> Any:
    while isinstance(x, dict | list | tuple):
        if isinstance(x, dict):
            x = next(iter(x.values()))
        elif x and hasattr(x[0], "shape"):
            x = x[0]
        else:
            return x
    return x

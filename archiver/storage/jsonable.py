"""Turning whatever a user or Keras hands over into plain JSON, without losing what it was."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from archiver.records.base import write_real

MAXIMAL_DEPTH = 40
MAXIMAL_ARRAY_ELEMENTS = 1000
MAXIMAL_LENGTH = 100_000
"""Of a sequence that is no list or tuple, such as a range."""


def jsonable(value: Any, depth: int = 0) -> Any:
    """`value` as null, bool, int, float, str, list or dict.

    Non-finite floats become the strings of `Real`. NumPy scalars and small arrays become numbers and lists, large
    arrays their shape and dtype; dataclasses, pydantic models, attrs classes, named tuples and namespaces objects of
    their fields; moments ISO 8601; functions and classes their qualified name; anything else its type's name. Never
    raises and never calls a user's `repr`: an object's text may hold a secret or take a minute.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int) and not isinstance(value, enum.Enum):
        return int(value)
    if isinstance(value, float):
        return write_real(float(value))
    if depth >= MAXIMAL_DEPTH:
        return {"not_recorded": f"nested deeper than {MAXIMAL_DEPTH} levels"}
    if isinstance(value, Mapping):
        return _mapping(value, depth)
    names = _field_names(value)
    if names is not None:
        return {name: jsonable(getattr(value, name, None), depth + 1) for name in names}
    if isinstance(value, list | tuple):
        return [jsonable(item, depth + 1) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((jsonable(item, depth + 1) for item in value), key=str)
    return _object(value, depth)


def _mapping(value: Mapping[Any, Any], depth: int) -> Any:
    try:
        keys = list(value)
    except Exception as error:  # noqa: BLE001 - a mapping of the user's own may refuse
        return {"not_recorded": f"its keys cannot be read ({type(error).__name__})"}
    return {_key(key): _item(value, key, depth) for key in keys}


def _item(value: Mapping[Any, Any], key: Any, depth: int) -> Any:
    try:
        item = value[key]
    except Exception as error:  # noqa: BLE001 - such as a mandatory value of OmegaConf that is missing
        return {"not_recorded": f"it cannot be read ({type(error).__name__})"}
    return jsonable(item, depth + 1)


def _field_names(value: Any) -> list[str] | None:
    """The fields of an object that declares them; None for any other. Only what its class says is looked at."""
    kind = type(value)
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    if isinstance(value, tuple):
        names = getattr(kind, "_fields", None)
        return list(names) if isinstance(names, tuple) else None
    for declared in ("__pydantic_fields__", "__attrs_attrs__"):
        fields = getattr(kind, declared, None)
        if fields is not None:
            return [str(getattr(field, "name", field)) for field in fields]
    return None


def _key(key: Any) -> str:
    return key if isinstance(key, str) else str(jsonable(key, MAXIMAL_DEPTH - 1))


def _object(value: Any, depth: int) -> Any:
    if isinstance(value, enum.Enum):
        return jsonable(value.value, depth + 1)
    text = _text(value)
    if text is not None:
        return text
    if isinstance(value, bytes | bytearray):
        return {"bytes": len(value)}
    if isinstance(value, complex):
        return [write_real(value.real), write_real(value.imag)]
    if isinstance(value, type) or callable(value):
        return qualified_name(value)
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return _array(value, depth)
    if type(value).__name__ in ("Namespace", "SimpleNamespace") and hasattr(value, "__dict__"):
        return jsonable(vars(value), depth + 1)
    if isinstance(value, Sequence):
        return _sequence(value, depth)
    return {"object": qualified_name(type(value))}


def _text(value: Any) -> str | None:
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value) if isinstance(value, decimal.Decimal | fractions.Fraction) else None


def _sequence(value: Sequence[Any], depth: int) -> Any:
    try:
        if len(value) > MAXIMAL_LENGTH:
            return {"object": qualified_name(type(value)), "count": len(value)}
        items = list(value)
    except Exception as error:  # noqa: BLE001 - a sequence of the user's own may refuse
        return {"not_recorded": f"its items cannot be read ({type(error).__name__})"}
    return [jsonable(item, depth + 1) for item in items]


def _array(value: Any, depth: int) -> Any:
    shape = tuple(value.shape)
    if not hasattr(value, "tolist") or math.prod(int(size or 0) for size in shape) > MAXIMAL_ARRAY_ELEMENTS:
        return {"array": {"shape": [None if size is None else int(size) for size in shape], "dtype": str(value.dtype)}}
    return jsonable(value.tolist(), depth + 1)


def qualified_name(value: Any) -> str:
    """`module.name` of a class or function; for an object that can be called, of its class."""
    if not hasattr(value, "__qualname__"):
        value = type(value)
    return f"{value.__module__}.{value.__qualname__}"

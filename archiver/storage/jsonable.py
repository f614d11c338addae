"""Turning whatever a user or Keras hands over into plain JSON, without losing what it was."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from archiver.records.base import write_real

MAXIMAL_DEPTH = 40
MAXIMAL_ARRAY_ELEMENTS = 1000


def jsonable(value: Any, depth: int = 0) -> Any:
    """`value` as null, bool, int, float, str, list or dict.

    Non-finite floats become the strings of `Real`. NumPy scalars and small arrays become numbers and lists, large
    arrays their shape and dtype; functions and classes their qualified name; anything else its type's name. Never
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
        return {_key(key): jsonable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item, depth + 1) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((jsonable(item, depth + 1) for item in value), key=str)
    return _object(value, depth)


def _key(key: Any) -> str:
    return key if isinstance(key, str) else str(jsonable(key, MAXIMAL_DEPTH - 1))


def _object(value: Any, depth: int) -> Any:
    if isinstance(value, enum.Enum):
        return jsonable(value.value, depth + 1)
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, bytes | bytearray):
        return {"bytes": len(value)}
    if isinstance(value, complex):
        return [write_real(value.real), write_real(value.imag)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: jsonable(getattr(value, field.name, None), depth + 1) for field in fields}
    if isinstance(value, type) or callable(value):
        return qualified_name(value)
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return _array(value, depth)
    if type(value).__name__ == "Namespace" and hasattr(value, "__dict__"):
        return jsonable(vars(value), depth + 1)
    return {"object": qualified_name(type(value))}


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

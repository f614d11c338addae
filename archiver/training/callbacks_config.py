"""The other callbacks as records: what they were made with, as far as they keep it.

No property, no method and no `repr` of a callback is called: only what lies in its attributes is read, and only plain
values, a few levels deep.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

import numpy as np

from archiver.collect.redaction import hide_home, redact_json
from archiver.records.base import Json
from archiver.records.training import CallbackPart
from archiver.storage.bounding import bounded
from archiver.storage.jsonable import jsonable, qualified_name
from archiver.training.capture import FitCall

MAXIMAL_DEPTH = 4
MAXIMAL_ITEMS = 50
MAXIMAL_TEXT = 2000
MAXIMAL_ELEMENTS = 20
MAXIMAL_VALUES = 500
"""Of one callback."""

_NOT_SETTINGS = frozenset(("params", "model", "_model", "_params", "validation_data"))


def callback_parts(callbacks: Iterable[Any], call: FitCall) -> tuple[CallbackPart, ...]:
    """The callbacks in the order of Keras' list."""
    listed = call.callback_list.callbacks if call.callback_list is not None else []
    positions = {id(callback): position for position, callback in enumerate(listed)}
    return tuple(_part(callback, positions.get(id(callback))) for callback in callbacks)


def _part(callback: Any, position: int | None) -> CallbackPart:
    values = _Values()
    try:
        arguments, rest = _settings(callback, values)
    except Exception as error:  # noqa: BLE001 - a class of the user's may do anything when it is looked at
        reason = {"unavailable": f"it cannot be looked into ({type(error).__name__})"}
        arguments, rest = reason, reason
    return CallbackPart(
        class_name=qualified_name(type(callback)), position=position, arguments=arguments, attributes=rest
    )


def _settings(callback: Any, values: _Values) -> tuple[Json, Json]:
    attributes = {name: value for name, value in vars(callback).items() if name not in _NOT_SETTINGS}
    found: dict[str, Json] = {}
    used: set[str] = set()
    for name in _argument_names(type(callback)):
        kept = next((key for key in (name, f"_{name}") if key in attributes), None)
        if kept is None:
            found[name] = {"unavailable": "the callback does not keep it under this name"}
        else:
            used.add(kept)
            found[name] = values.plain(attributes[kept])
    rest = {
        name: values.plain(value)
        for name, value in attributes.items()
        if not name.startswith("_") and name not in used and _is_telling(value)
    }
    return redact_json(found), bounded(redact_json(rest))


def _argument_names(callback_class: type) -> list[str]:
    """The arguments of the constructor; behind `**kwargs`, those of the class above."""
    names: dict[str, None] = {}
    for each in callback_class.__mro__:
        if "__init__" not in vars(each) or each is object:
            continue
        parameters = list(inspect.signature(vars(each)["__init__"]).parameters.values())[1:]
        names |= {parameter.name: None for parameter in parameters if parameter.kind not in _VARIABLE}
        if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
            break
    return list(names)


_VARIABLE = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def _is_telling(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str | PurePath) or inspect.isroutine(value)


class _Values:
    """Turns attributes into plain JSON, `MAXIMAL_VALUES` in all."""

    def __init__(self) -> None:
        self._left = MAXIMAL_VALUES

    def plain(self, value: Any, depth: int = 0) -> Json:
        self._left -= 1
        if self._left < 0:
            return {"not_recorded": f"the callback holds more than {MAXIMAL_VALUES} values"}
        if isinstance(value, str):
            return (
                hide_home(value)
                if len(value) <= MAXIMAL_TEXT
                else {"text": hide_home(value[:200]), "count": len(value)}
            )
        if isinstance(value, PurePath):
            return hide_home(value.as_posix())
        if type(value) in (dict, list, tuple, set, frozenset):
            return self._container(value, depth)
        if isinstance(value, functools.partial):
            return {"partial": qualified_name(value.func)}
        if isinstance(value, np.ndarray):
            return jsonable(value) if value.size <= MAXIMAL_ELEMENTS and value.dtype.kind in "biuf" else _shape(value)
        if value is None or isinstance(value, bool | int | float | np.generic) or inspect.isroutine(value):
            return jsonable(value)
        return qualified_name(value) if isinstance(value, type) else {"object": qualified_name(type(value))}

    def _container(self, value: Any, depth: int) -> Json:
        if depth >= MAXIMAL_DEPTH or len(value) > MAXIMAL_ITEMS:
            return {"object": qualified_name(type(value)), "count": len(value)}
        if isinstance(value, dict):
            return {_key(key): self.plain(item, depth + 1) for key, item in value.items()}
        return [self.plain(item, depth + 1) for item in value]


def _shape(value: Any) -> Json:
    return {"array": {"shape": list(value.shape), "dtype": str(value.dtype)}}


def _key(key: Any) -> str:
    return key if isinstance(key, str) else str(key) if isinstance(key, bool | int | float) else "(an object)"

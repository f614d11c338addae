"""Plain Python values as JSON and arrays, and back, exactly: what callbacks and random generators keep.

JSON holds texts, truth values, whole numbers, finite floats, None, lists, and dicts whose keys are texts. Everything
else is an object with the key `$`, which names its kind:

| `$` | value |
|---|---|
| `float` | `value`: `NaN`, `Infinity` or `-Infinity` |
| `integer` | `value`: the decimal digits, for one that does not fit into 64 bits |
| `tuple`, `set`, `frozenset`, `deque` | `items`: a list; a deque also has `maximal_length` |
| `dict` | `items`: a list of [key, value], in order, where a key is no text or one is `$` |
| `bytes`, `array`, `scalar` | `array`: the name of an array that holds them, `dtype`: NumPy's or ml_dtypes' name |
| `random` | `state`: that of Python's `random.Random` |
| `generator` | `state`: that of the bit generator of a `numpy.random.Generator` |
| `random_state` | `state`: that of a `numpy.random.RandomState` |

Nothing of this runs code when it is read.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.errors import ArgumentError, RecordError
from archiver.records.base import NON_FINITE, Json

Array = NDArray[Any]
MAXIMAL_DEPTH = 20
_JSON_INTEGERS = range(-(1 << 63), 1 << 63)
_SEQUENCES: dict[type, str] = {tuple: "tuple", set: "set", frozenset: "frozenset", deque: "deque"}


class NotPlainError(ArgumentError):
    """A value that is made of more than plain values."""


def encode(value: Any, arrays: dict[str, Array], prefix: str, depth: int = 0) -> Json:
    """A value as JSON; the arrays in it are copied into `arrays`, under names that begin with `prefix`.

    Raises:
        NotPlainError: something in it is of a type that the table above does not have.
    """
    if depth > MAXIMAL_DEPTH:
        raise NotPlainError(f"{prefix} is nested more than {MAXIMAL_DEPTH} times")
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        return value if value in _JSON_INTEGERS else {"$": "integer", "value": str(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$": "float", "value": _name_of(value)}
    if isinstance(value, bytes | np.ndarray | np.generic):
        return _encode_array(value, arrays, prefix)
    if kind is list:
        return [encode(item, arrays, f"{prefix}/{index}", depth + 1) for index, item in enumerate(value)]
    if kind in _SEQUENCES:
        items = sorted(value, key=repr) if kind in (set, frozenset) else list(value)
        more = {"maximal_length": value.maxlen} if kind is deque else {}
        return {"$": _SEQUENCES[kind], "items": encode(items, arrays, prefix, depth + 1), **more}
    if isinstance(value, dict):
        return _encode_dict(value, arrays, prefix, depth)
    return _encode_generator(value, arrays, prefix, depth)


def _name_of(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _encode_array(value: Any, arrays: dict[str, Array], prefix: str) -> Json:
    kind = "bytes" if isinstance(value, bytes) else "array" if isinstance(value, np.ndarray) else "scalar"
    array = np.frombuffer(value, np.uint8) if kind == "bytes" else np.asarray(value)
    if array.dtype.hasobject or array.dtype.names is not None:
        raise NotPlainError(f"{prefix} is an array of {array.dtype}")
    arrays[prefix] = np.array(array, copy=True, order="C")
    return {"$": kind, "array": prefix, "dtype": array.dtype.name}


def _encode_dict(value: dict[Any, Any], arrays: dict[str, Array], prefix: str, depth: int) -> Json:
    if all(type(key) is str for key in value) and "$" not in value:
        return {
            key: encode(item, arrays, f"{prefix}/{index}", depth + 1) for index, (key, item) in enumerate(value.items())
        }
    items = [
        [encode(key, arrays, f"{prefix}/{index}/key", depth + 1), encode(item, arrays, f"{prefix}/{index}", depth + 1)]
        for index, (key, item) in enumerate(value.items())
    ]
    return {"$": "dict", "items": items}


def _encode_generator(value: Any, arrays: dict[str, Array], prefix: str, depth: int) -> Json:
    if type(value) is random.Random:
        return {"$": "random", "state": encode(value.getstate(), arrays, prefix, depth + 1)}
    if type(value) is np.random.Generator:
        return {"$": "generator", "state": encode(value.bit_generator.state, arrays, prefix, depth + 1)}
    if type(value) is np.random.RandomState:
        return {"$": "random_state", "state": encode(value.get_state(), arrays, prefix, depth + 1)}
    raise NotPlainError(f"{prefix} is a {type(value).__module__}.{type(value).__qualname__}")


def decode(value: Json, load: Callable[[str, str], Array]) -> Any:
    """The value that `encode` was given.

    Args:
        value: what it returned.
        load: the array of a name, of a dtype.

    Raises:
        RecordError: it is nothing that `encode` returns.
    """
    if isinstance(value, list):
        return [decode(item, load) for item in value]
    if not isinstance(value, Mapping):
        return value
    if "$" not in value:
        return {key: decode(item, load) for key, item in value.items()}
    try:
        return _DECODERS[value["$"]](value, load)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(f"the state of an object cannot be read: {type(error).__name__}: {error}") from error


def _generator(value: Mapping[str, Any], load: Callable[[str, str], Array]) -> np.random.Generator:
    state = decode(value["state"], load)
    kinds = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
    if state["bit_generator"] not in kinds:
        raise ValueError(f"received the bit generator {state['bit_generator']!r}, expected one of {', '.join(kinds)}")
    generator = np.random.Generator(getattr(np.random, state["bit_generator"])())
    generator.bit_generator.state = state
    return generator


def _random(value: Mapping[str, Any], load: Callable[[str, str], Array]) -> random.Random:
    generator = random.Random()
    generator.setstate(decode(value["state"], load))
    return generator


def _random_state(value: Mapping[str, Any], load: Callable[[str, str], Array]) -> np.random.RandomState:
    generator = np.random.RandomState()
    generator.set_state(decode(value["state"], load))
    return generator


_DECODERS: dict[str, Callable[[Mapping[str, Any], Callable[[str, str], Array]], Any]] = {
    "float": lambda value, _: NON_FINITE[value["value"]],
    "integer": lambda value, _: int(value["value"]),
    "tuple": lambda value, load: tuple(decode(value["items"], load)),
    "set": lambda value, load: set(decode(value["items"], load)),
    "frozenset": lambda value, load: frozenset(decode(value["items"], load)),
    "deque": lambda value, load: deque(decode(value["items"], load), value["maximal_length"]),
    "dict": lambda value, load: {decode(key, load): decode(item, load) for key, item in value["items"]},
    "bytes": lambda value, load: load(value["array"], value["dtype"]).tobytes(),
    "array": lambda value, load: load(value["array"], value["dtype"]),
    "scalar": lambda value, load: load(value["array"], value["dtype"])[()],
    "random": _random,
    "generator": _generator,
    "random_state": _random_state,
}

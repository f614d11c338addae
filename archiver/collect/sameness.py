"""Telling cheaply whether data is the very data of an earlier call, without keeping it alive."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHECKED_SAMPLES = 64
CHECKED_ELEMENTS = 1024
"""Of each of these samples."""


@dataclass(frozen=True)
class Mark:
    """What is remembered of one object: who owns its memory, what it looked like, and a check of its content."""

    owner: weakref.ref[Any]
    form: tuple[Any, ...]
    check: str


def marks_of(objects: Iterable[tuple[str, Any]]) -> tuple[Mark | None, ...]:
    """A mark for each named object; None for what may change unseen: lists, data frames, torch tensors."""
    return tuple(_mark(name, value) for name, value in objects)


def _mark(name: str, value: Any) -> Mark | None:
    try:
        if isinstance(value, np.ndarray):
            return Mark(weakref.ref(_owner(value)), (name, *_form(value)), _check(value))
        if hasattr(value, "to_numpy") or hasattr(value, "detach"):
            return None
        return Mark(weakref.ref(value), (name, id(value)), "")
    except TypeError:  # cannot be referred to weakly
        return None


def _owner(array: NDArray[Any]) -> NDArray[Any]:
    """The array whose memory this is: Keras makes new views of the same arrays in each call."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _form(array: NDArray[Any]) -> tuple[Any, ...]:
    return (array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str)


def _check(array: NDArray[Any]) -> str:
    digest = hashlib.sha256()
    if array.ndim and not array.dtype.hasobject:
        for index in np.unique(np.linspace(0, max(0, len(array) - 1), CHECKED_SAMPLES).astype(int)[: len(array)]):
            sample = np.asarray(array[index])
            digest.update(sample.flat[:: max(1, sample.size // CHECKED_ELEMENTS)].tobytes())
    return digest.hexdigest()


def are_the_same(earlier: tuple[Mark | None, ...], now: tuple[Mark | None, ...]) -> bool:
    """Whether all objects are those of before, still alive and with the same content where it was checked."""
    return len(earlier) == len(now) > 0 and all(_is_the_same(*pair) for pair in zip(earlier, now, strict=True))


def _is_the_same(earlier: Mark | None, now: Mark | None) -> bool:
    if earlier is None or now is None:
        return False
    owner = earlier.owner()
    return owner is not None and owner is now.owner() and (earlier.form, earlier.check) == (now.form, now.check)

"""Attributes of the user's own objects, callbacks and data: what may be kept of them, and how they get it back."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from archiver.collect.redaction import redact_json
from archiver.records.base import Json
from archiver.storage.plain_state import Array
from archiver.training.secrets import SecretError


def without_secrets(name: str, encoded: Json, arrays: dict[str, Array]) -> Json:
    """A value that may be written into an archive.

    Raises:
        SecretError: there is a secret in it.
    """
    texts = [array.tobytes().decode("latin-1") for array in arrays.values() if array.dtype == np.uint8]
    given = {name: [encoded, *texts]}
    if redact_json(given) != given:
        raise SecretError(f"a secret stands in {name}")
    return encoded


def put_attributes(owner: Any, values: Mapping[str, Any]) -> None:
    """Give an object its attributes back. Generators and arrays stay the same objects: others may share them."""
    for name, value in values.items():
        if not _put_in_place(vars(owner).get(name), value):
            setattr(owner, name, value)


def _put_in_place(current: Any, value: Any) -> bool:
    if type(current) is not type(value):
        return False
    if isinstance(value, np.random.Generator):
        if type(current.bit_generator) is not type(value.bit_generator):
            return False
        current.bit_generator.state = value.bit_generator.state
    elif isinstance(value, np.random.RandomState):
        current.set_state(value.get_state())
    elif isinstance(value, random.Random):
        current.setstate(value.getstate())
    elif isinstance(value, np.ndarray):
        if (current.shape, current.dtype, current.flags.writeable) != (value.shape, value.dtype, True):
            return False
        current[...] = value
    else:
        return False
    return True

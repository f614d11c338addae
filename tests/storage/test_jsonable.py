import argparse
import collections.abc
import dataclasses
import datetime as dt
import enum
import json
import types
import typing
from pathlib import Path

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.storage.jsonable import MAXIMAL_ARRAY_ELEMENTS, jsonable

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(
    scalars | st.binary(max_size=5) | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.sets(scalars, max_size=4),
    max_leaves=20,
)


@given(values)
def test_anything_becomes_json(value):
    text = json.dumps(jsonable(value), allow_nan=False)
    assert json.loads(text) == jsonable(value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_json_stays_as_it_is(value):
    assert jsonable(value) == value


@dataclasses.dataclass
class Settings:
    rate: float
    path: Path


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.array([1, 2]), [1, 2]),
        (np.array(2.0), 2.0),
        (np.array([np.nan]), ["NaN"]),
        (float("inf"), "Infinity"),
        (np.zeros((MAXIMAL_ARRAY_ELEMENTS, 2), "f4"), {"array": {"shape": [1000, 2], "dtype": "float32"}}),
        (argparse.Namespace(a=1), {"a": 1}),
        (Settings(0.1, Path("a/b")), {"rate": 0.1, "path": "a/b"}),
        (Colour.RED, "red"),
        ({1: 2, (3, 4): 5}, {"1": 2, "[3, 4]": 5}),
        (len, "builtins.len"),
        (Settings, f"{__name__}.Settings"),
        ({3, 1, 2}, [1, 2, 3]),
        (b"abc", {"bytes": 3}),
        (1 + 2j, [1.0, 2.0]),
    ],
)
def test_known_things(value, expected):
    assert jsonable(value) == expected


def test_cycles_end():
    cycle: list = []
    cycle.append(cycle)
    assert "nested deeper" in json.dumps(jsonable(cycle))


def test_an_object_s_own_text_is_never_asked_for():
    class Rude:
        def __repr__(self):
            raise RuntimeError

        __str__ = __repr__

    assert jsonable({"a": Rude()}) == {"a": {"object": f"{__name__}.{Rude.__qualname__}"}}


class Nested(pydantic.BaseModel):
    rate: float
    inner: Settings
    secret: pydantic.SecretStr


class Point(typing.NamedTuple):
    x: int
    y: np.float32


class Attrs:
    """What attrs makes of a class: the fields stand in the class."""

    __attrs_attrs__ = (types.SimpleNamespace(name="depth"),)
    depth = 3


def test_objects_that_declare_their_fields():
    nested = Nested(rate=0.5, inner=Settings(0.1, Path("a/b")), secret=pydantic.SecretStr("hunter2"))
    assert jsonable(nested) == {
        "rate": 0.5,
        "inner": {"rate": 0.1, "path": "a/b"},
        "secret": {"object": "pydantic.types.SecretStr"},
    }
    assert jsonable(Point(1, np.float32(0.5))) == {"x": 1, "y": 0.5}
    assert jsonable(Attrs()) == {"depth": 3}
    assert jsonable(types.SimpleNamespace(a=[Colour.RED])) == {"a": ["red"]}
    assert jsonable(dt.date(2026, 11, 22)) == "2026-11-22"
    assert jsonable([range(3), range(10**9)]) == [[0, 1, 2], {"object": "builtins.range", "count": 10**9}]


class Settable(collections.abc.MutableMapping):
    """Behaves as OmegaConf's: a mapping with a value that is missing."""

    def __init__(self, **values):
        self._values = values

    def __getitem__(self, key):
        if self._values[key] == "???":
            raise RuntimeError("missing")
        return self._values[key]

    def __setitem__(self, key, value):
        self._values[key] = value

    def __delitem__(self, key):
        del self._values[key]

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)


def test_a_mapping_that_refuses_one_value_keeps_the_others():
    assert jsonable(Settable(a=1, b=Settable(c="???"))) == {
        "a": 1,
        "b": {"c": {"not_recorded": "it cannot be read (RuntimeError)"}},
    }

import argparse
import dataclasses
import enum
import json
from pathlib import Path

import numpy as np
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

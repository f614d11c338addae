"""What callbacks and generators keep comes back as it was."""

import json
import math
import random
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.errors import RecordError
from archiver.storage.plain_state import NotPlainError, decode, encode

KEYS = st.text(max_size=5) | st.integers() | st.booleans() | st.just("$")
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.floats(width=32).map(np.float32)
    | st.integers(-128, 127).map(np.int8)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.lists(inner, max_size=3).map(lambda items: deque(items, 5))
    ),
    max_leaves=20,
)


def round_trip(value):
    arrays = {}
    text = json.dumps(encode(value, arrays, "a"), allow_nan=False)
    return decode(json.loads(text), lambda name, dtype: arrays[name].astype(dtype, copy=False))


def same(one, other):
    if type(one) is not type(other):
        return False
    if isinstance(one, float | np.floating):
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    if isinstance(one, dict):
        return list(map(repr, one)) == list(map(repr, other)) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple | deque):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@given(VALUES)
def test_round_trip(value):
    assert same(round_trip(value), value)


@given(st.sets(st.integers() | st.text(max_size=3)))
def test_sets(value):
    assert round_trip(value) == value
    assert type(round_trip(frozenset(value))) is frozenset


def test_arrays_are_copied():
    array, arrays = np.arange(6, dtype=">i2").reshape(2, 3), {}
    encoded = encode({"x": array}, arrays, "a")
    array += 1
    assert arrays[encoded["x"]["array"]].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("make", [lambda: np.random.default_rng(3), lambda: np.random.RandomState(3)])
def test_generators_of_numpy_go_on(make):
    generator = make()
    generator.normal(size=5)
    again = round_trip([generator])[0]
    assert again.normal(size=9).tolist() == generator.normal(size=9).tolist()


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_every_bit_generator(kind):
    generator = np.random.Generator(getattr(np.random, kind)(1))
    generator.random(3)
    assert round_trip(generator).random(5).tolist() == generator.random(5).tolist()


def test_a_generator_of_python_goes_on():
    generator = random.Random(2)
    generator.gauss(0, 1)
    assert round_trip(generator).random() == generator.random()


@pytest.mark.parametrize(
    "value", [object(), len, {"a": [open]}, np.array([object()]), {1j: 2}], ids=lambda value: type(value).__name__
)
def test_anything_else_is_refused(value):
    with pytest.raises(NotPlainError):
        encode(value, {}, "a")


@pytest.mark.parametrize(
    "value",
    [
        {"$": "code"},
        {"$": "integer", "value": "x"},
        {"$": "generator", "state": {"bit_generator": "Generator"}},
        {"$": 1},
    ],
    ids=str,
)
def test_what_was_not_encoded_is_an_error(value):
    with pytest.raises(RecordError, match="cannot be read"):
        decode(value, lambda name, dtype: np.zeros(1))

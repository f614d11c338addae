"""Statistics and norms against NumPy."""

import hashlib
import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from archiver.collect.values import BLOCK_ELEMENTS, change_squares, scan
from archiver.records.base import Unavailable
from archiver.storage.dtypes import dtype_bytes

DTYPES = (np.float16, np.float32, np.float64, np.int8, np.uint32, np.int64, np.bool_)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(DTYPES).flatmap(lambda d: arrays.arrays(d, arrays.array_shapes(max_dims=3, max_side=7))))
def test_the_statistics_are_those_of_the_finite_elements(array):
    found = scan(array)
    finite = array.astype(np.float64)[np.isfinite(array)]
    assert found.non_finite_count == array.size - finite.size
    if not finite.size:
        assert isinstance(found.mean, Unavailable)
        return
    assert (found.minimum, found.maximum) == (finite.min(), finite.max())
    assert found.zero_share == np.mean(finite == 0)
    size = np.abs(finite).max()
    if size < 1e150:  # beyond, squares overflow in NumPy too
        assert math.isclose(found.mean, finite.mean(), rel_tol=1e-9, abs_tol=1e-12 * size)
        assert math.isclose(found.standard_deviation, finite.std(), rel_tol=1e-7, abs_tol=1e-7 * size)


@pytest.mark.parametrize("size", [1, BLOCK_ELEMENTS - 1, BLOCK_ELEMENTS, 3 * BLOCK_ELEMENTS + 5])
def test_blocks_make_no_difference(size):
    array = (np.random.default_rng(0).normal(3, 2, size)).astype("float32")
    array[size // 2 :] += 100
    digest = hashlib.sha256()
    found = scan(array.reshape(1, size), [digest])
    assert digest.digest() == hashlib.sha256(array.tobytes()).digest()
    assert math.isclose(found.mean, array.mean(dtype=np.float64), rel_tol=1e-12)
    assert math.isclose(found.standard_deviation, array.std(dtype=np.float64), rel_tol=1e-10, abs_tol=1e-300)


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2])
def test_the_types_of_ml_dtypes(dtype):
    values = np.array([1.0, -2.0, 0.0, 0.5, np.nan]).astype(dtype)
    found = scan(values)
    assert (found.minimum, found.maximum, found.zero_share, found.non_finite_count) == (-2.0, 1.0, 0.25, 1)
    assert found.mean == -0.125
    assert dtype_bytes(values.dtype.name) == values.itemsize


def test_what_has_no_statistics_says_why():
    assert scan(np.zeros((0, 3), "float32")).unavailable == "it has no elements"
    assert scan(np.array(["a"])).unavailable == "its elements are no real numbers"
    assert scan(np.array([1j])).unavailable == "its elements are no real numbers"
    nothing = scan(np.array([np.nan, np.inf], "float32"))
    assert nothing.mean.unavailable == "none of its elements is finite"
    assert nothing.non_finite_count == 2


def test_a_scalar():
    found = scan(np.asarray(7, np.int64))
    assert (found.mean, found.standard_deviation, found.minimum, found.zero_share) == (7.0, 0.0, 7.0, 0.0)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2 * BLOCK_ELEMENTS), st.sampled_from(["float32", "float16", ml_dtypes.bfloat16]))
def test_the_squares_are_those_of_the_norms(size, dtype):
    generator = np.random.default_rng(size)
    before, after = (generator.normal(size=size).astype(dtype) for _ in range(2))
    found = change_squares(before, after)
    one, two = before.astype(np.float64), after.astype(np.float64)
    assert math.isclose(math.sqrt(found.initial), np.linalg.norm(one), rel_tol=1e-12)
    assert math.isclose(math.sqrt(found.final), np.linalg.norm(two), rel_tol=1e-12)
    assert math.isclose(math.sqrt(found.change), np.linalg.norm(two - one), rel_tol=1e-12)


def test_a_weight_that_is_not_finite_shows_in_the_norm():
    found = change_squares(np.ones(3, "float32"), np.array([1, np.nan, 1], "float32"))
    assert found.initial == 3
    assert math.isnan(found.final)
    assert math.isnan(found.change)


@pytest.mark.parametrize(("name", "size"), [("float32", 4), ("bfloat16", 2), ("bool", 1), ("int4", 1), ("int64", 8)])
def test_bytes_of_a_type(name, size):
    assert dtype_bytes(name) == size

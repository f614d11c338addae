"""Summaries of a stream of numbers, against numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.sampling.statistics import RELATIVE_ERROR, Distribution

NUMBERS = st.one_of(st.floats(-1e15, 1e15), st.integers(0, 1 << 45), st.sampled_from([0.0, 5e-324, 1.5, 2.0]))


@given(st.lists(NUMBERS, min_size=1, max_size=200), st.sampled_from([0, 5, 50, 95, 99, 100]))
def test_against_numpy(values, percent):
    found = Distribution(values)
    assert (found.count, found.minimum, found.maximum) == (len(values), min(values), max(values))
    assert found.mean == pytest.approx(np.mean(np.array(values, float)), rel=1e-9, abs=1e-3)
    expected = np.percentile(np.array(values, float), percent, method="inverted_cdf")
    assert found.percentile(percent) == pytest.approx(expected, rel=RELATIVE_ERROR * 1.001, abs=1e-323)


@given(st.lists(NUMBERS, max_size=50), st.lists(NUMBERS, max_size=50))
def test_two_are_the_same_as_one(first, second):
    together, joined = Distribution(first + second), Distribution(first)
    joined.add_all(Distribution(second))
    assert (joined.count, joined.minimum, joined.maximum) == (together.count, together.minimum, together.maximum)
    if together.count:
        assert [joined.percentile(p) for p in (1, 50, 99)] == [together.percentile(p) for p in (1, 50, 99)]


def test_nothing():
    assert math.isnan(Distribution().mean)
    assert math.isnan(Distribution().percentile(50))


def test_memory_is_bounded():
    rng = np.random.default_rng(0)
    found = Distribution(np.exp(rng.normal(20, 2, 100_000)).tolist())
    assert len(found._bins) < 64 * 30

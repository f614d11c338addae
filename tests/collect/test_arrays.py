"""Numbers of arrays against NumPy, on every kind of array."""

import hashlib
import math
import warnings

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from archiver.collect import arrays
from archiver.collect.arrays import NumberStatistics, describe_array
from archiver.records.base import Unavailable

GENERATOR = np.random.default_rng(0)


def expected(array):
    """The same by NumPy's own functions, in float64 (float128 for the sums)."""
    values = array.astype(np.float64).reshape(-1)
    finite = values[np.isfinite(values)].astype(np.longdouble)
    return {
        "minimum": np.nanmin(values),
        "maximum": np.nanmax(values),
        "mean": float(finite.mean()),
        "standard_deviation": float(finite.std()),
        "missing": int(np.isnan(values).sum()),
        "infinite": int(np.isinf(values).sum()),
        "zero_share": float((values == 0).mean()),
    }


def assert_as_numpy(array, part=None):
    part = part or describe_array("x", array)
    for name, value in expected(array).items():
        assert getattr(part, name) == pytest.approx(value, rel=1e-12, abs=1e-300), name
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
    assert part.sha256 == hashlib.sha256(little.tobytes()).hexdigest()
    assert part.shape == array.shape


FLOATS = GENERATOR.normal(1000, 0.001, (300, 1000))
WITH_GAPS = np.where(GENERATOR.random(FLOATS.shape) < 0.1, np.nan, FLOATS)
WITH_GAPS[7, 7], WITH_GAPS[8, 8] = np.inf, 0


@pytest.mark.parametrize(
    "array",
    [
        FLOATS, FLOATS.astype("float32"), FLOATS.astype("float16"), FLOATS.astype(ml_dtypes.bfloat16), WITH_GAPS,
        FLOATS.astype(">f4"), FLOATS[:, ::7], FLOATS.T, np.asfortranarray(FLOATS), FLOATS[:0:-1],
        GENERATOR.integers(0, 256, (400, 28, 28), dtype=np.uint8), GENERATOR.integers(-9, 9, 70_000),
        np.array(2**62), np.array([True, False, True]), FLOATS.astype(np.longdouble), np.zeros((5, 2)),
        GENERATOR.integers(0, 9, (3, 200_000)).astype("int16"),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)  # fmt: skip
def test_numbers_are_numpy_s(array):
    assert_as_numpy(array)


def test_the_dtype_is_the_array_s_own():
    assert describe_array("x", np.zeros(2, ml_dtypes.bfloat16)).dtype == "bfloat16"


def test_a_mapped_file(tmp_path):
    np.save(tmp_path / "x.npy", FLOATS)
    assert_as_numpy(np.load(tmp_path / "x.npy", mmap_mode="r"))


def test_digits_are_kept_where_the_mean_is_large():
    """The textbook formula, mean of squares less square of mean, has no digit left here."""
    values = 1e9 + GENERATOR.random(300_000)
    assert (values**2).mean() - values.mean() ** 2 != pytest.approx(values.var(), rel=0.1)
    assert describe_array("x", values).standard_deviation == pytest.approx(values.std(), rel=1e-9)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.array(["a", "bc"]), "has no numbers"),
        (np.array([b"a"]), "has no numbers"),
        (np.array([1, None, "x"], object), "has no numbers"),
        (np.empty((0, 3)), "has no numbers"),
        (np.array([math.nan, math.nan]), "has no numbers"),
        (np.array([1j, complex("nan"), complex("inf")]), "complex numbers have no order"),
        (np.array(["2026-01-01", "NaT"], "M8[D]"), "holds times"),
        (np.array([(1, 2.0)], [("a", "i4"), ("b", "f4")]), "has no numbers"),
    ],
    ids=str,
)
def test_what_has_no_numbers(array, reason):
    part = describe_array("x", array)
    for name in ("minimum", "maximum", "mean", "standard_deviation"):
        assert getattr(part, name) == Unavailable(unavailable=reason), name
    if not array.dtype.hasobject:
        assert part.sha256 == hashlib.sha256(array.tobytes()).hexdigest()
    else:
        assert isinstance(part.sha256, Unavailable)


def test_missing_times_and_complex_numbers():
    assert describe_array("x", np.array(["2026-01-01", "NaT"], "M8[D]")).missing == 1
    part = describe_array("x", np.array([1j, complex("nan"), complex("inf")]))
    assert (part.missing, part.infinite) == (1, 1)


def test_numbers_too_large_to_be_summed_are_said_to_be():
    part = describe_array("x", np.array([1e308, 1e308]))
    assert "too large" in part.mean.unavailable
    assert (part.minimum, part.maximum) == (1e308, 1e308)


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(np.float64, st.integers(1, 200), elements=st.floats(-1e100, 1e100, width=64)),
    st.lists(st.integers(0, 200), max_size=5),
    st.integers(1, 50),
)
def test_how_an_array_is_cut_does_not_matter(values, cuts, capacity):
    """The law of the accumulator: any blocks and any size of the scratch memory give the numbers of the whole."""
    statistics = NumberStatistics(capacity)
    for block in np.split(values, sorted(cut % len(values) for cut in cuts)):
        statistics.update(block)
    scale = np.abs(values).max() or 1
    assert statistics.mean == pytest.approx(values.mean(), rel=1e-9, abs=1e-12 * scale)
    assert statistics.standard_deviation == pytest.approx(values.std(), rel=1e-6, abs=1e-7 * scale)
    assert (statistics.minimum, statistics.maximum) == (values.min(), values.max())


def test_blocks_are_whole_samples(monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 100)
    array = np.arange(60.0).reshape(10, 6)
    found = list(arrays.blocks(array))
    assert [block.shape for block in found] == [(2, 6)] * 5
    assert np.array_equal(np.concatenate(found), array)


def test_nothing_is_changed_and_nothing_warns():
    array = WITH_GAPS.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        describe_array("x", array)
        describe_array("x", np.array([np.inf, -np.inf, 1e308, -1e308]))
    assert array.tobytes() == WITH_GAPS.tobytes()

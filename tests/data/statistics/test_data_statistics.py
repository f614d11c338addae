"""One pass gives what NumPy gives of the whole, however the data come, and within the stated error."""

import json
import math
import tracemalloc

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from archiver.collect.channels import ChannelStatistics
from archiver.collect.quantiles import RELATIVE_ERROR, QuantileCounts
from archiver.data import ArrayWindows, WindowCache, data_statistics, window_batches, write_window_file
from archiver.data.statistics import blocks
from archiver.errors import ArgumentError, DataError

X = np.random.default_rng(0).normal(3, 2, (200, 5, 40)).astype("float32")
Y = np.arange(200) % 3


def same(found, array, **tolerance):
    values = array.astype("float64")
    finite = values[np.isfinite(values)]
    assert found.element_count == array.size
    assert (found.missing, found.infinite) == (np.isnan(values).sum(), np.isinf(values).sum())
    assert found.zero_count == (values == 0).sum()
    for name, function in (("mean", np.mean), ("standard_deviation", np.std)):
        expected = function(finite) if finite.size else math.nan
        np.testing.assert_allclose(getattr(found, name), expected, **{"rtol": 1e-9, "atol": 1e-9} | tolerance)
    numbers = values[~np.isnan(values)]
    expected = (numbers.min(), numbers.max()) if numbers.size else (math.nan, math.nan)
    np.testing.assert_array_equal((found.minimum, found.maximum), expected)


@given(
    array=st_numpy.arrays(
        st.sampled_from(["float32", "float64", "int16", "uint8", "int64", "bool", "float16"]),
        st.tuples(st.integers(1, 12), st.integers(1, 3), st.integers(1, 5)),
    ),
    block_bytes=st.integers(1, 500),
)
@settings(max_examples=30)
def test_any_array_in_any_blocks(array, block_bytes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", block_bytes)
        patch.setattr(blocks, "READ_BYTES", 3 * block_bytes)
        found = data_statistics(array).arrays["x"]
    whole = data_statistics(array).arrays["x"]
    assert (found.blake3, found.quantiles) == (whole.blake3, whole.quantiles)
    with np.errstate(all="ignore"):
        scale = float(np.abs(np.nan_to_num(array.astype("float64"), posinf=0, neginf=0)).max())
        if scale < 1e150:
            same(found, array, atol=1e-9 * scale + 1e-300)
    if np.isfinite(array.astype("float64")).all() and scale < 1e150:
        expected = array.astype("float64")
        np.testing.assert_allclose(found.channel_mean, expected.mean(axis=(0, 2)), rtol=1e-9, atol=1e-9 * scale)
        np.testing.assert_array_equal(found.channel_minimum, expected.min(axis=(0, 2)))


@given(
    values=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=300),
    share=st.floats(0, 1),
)
def test_quantiles_are_within_the_stated_error(values, share):
    array = np.array(values, "float32")
    counts = QuantileCounts(array.dtype)
    counts.update(array)
    (found,) = counts.quantiles([share])
    exact = float(np.quantile(array, share, method="inverted_cdf"))
    near = sorted(values)
    rank = near.index(exact)
    allowed = [exact, near[max(0, rank - 1)], near[min(len(near) - 1, rank + 1)]]  # the rank itself is rounded
    assert any(abs(found - value) <= RELATIVE_ERROR * abs(value) + 2.0**-136 for value in allowed)


@given(st_numpy.arrays(st.sampled_from(["int8", "uint8", "int16", "uint16", "bool"]), st.integers(1, 200)))
def test_quantiles_of_small_whole_numbers_are_exact(array):
    counts, other = QuantileCounts(array.dtype), QuantileCounts(array.dtype)
    counts.update(array[: len(array) // 2])
    other.update(array[len(array) // 2 :])
    counts.join(other)
    shares = [0, 0.25, 0.5, 1]
    assert counts.quantiles(shares) == [float(v) for v in np.quantile(array.astype(int), shares, method="inverted_cdf")]


def test_digits_are_not_lost_where_the_mean_is_large():
    values = 1e8 + np.random.default_rng(0).normal(size=(300, 2, 50))
    one, other = ChannelStatistics(2), ChannelStatistics(2)
    for part in np.array_split(values[:200], 7):
        one.update(part)
    other.update(values[200:])
    one.join(other)
    np.testing.assert_allclose(one.standard_deviation, values.std(axis=(0, 2)), rtol=1e-7)
    np.testing.assert_allclose(one.whole()[1], values.std(), rtol=1e-7)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 7

    def __getitem__(self, index):
        return X[index * 30 : (index + 1) * 30], Y[index * 30 : (index + 1) * 30]


def test_all_kinds_of_data_give_the_same(tmp_path):
    with WindowCache.create(tmp_path / "a.h5", (5, 40)) as cache:
        cache.append(X, labels=Y)
        cache.complete()
    mapped = np.memmap(tmp_path / "x", "float32", "w+", shape=X.shape)
    mapped[:] = X
    windows = ArrayWindows(X, Y)
    found = {
        "array": data_statistics(X, Y),
        "map": data_statistics(mapped, Y),
        "windows": data_statistics(windows),
        "cache": data_statistics(WindowCache.open(tmp_path / "a.h5")),
        "window file": data_statistics(write_window_file(windows, tmp_path / "w")),
        "tf.data": data_statistics(tf.data.Dataset.from_tensor_slices((X, Y)).batch(32)),
        "PyDataset": data_statistics(Batches()),
        "batches": data_statistics(window_batches(windows, batch_size=16, shuffle=False)),
        "generator": data_statistics((X[i : i + 50], Y[i : i + 50]) for i in range(0, 200, 50)),
    }
    expected = found["array"]
    for name, each in found.items():
        x = each.arrays["x"]
        assert (each.window_count, x.shape, x.dtype) == (200, X.shape, "float32"), name
        assert x.blake3 == expected.arrays["x"].blake3, name
        assert x.quantiles == expected.arrays["x"].quantiles, name
        same(x, X)
        np.testing.assert_allclose(x.channel_standard_deviation, X.std(axis=(0, 2), dtype="float64"), rtol=1e-12)
        assert each.classes["y"].counts == {"0": 67, "1": 67, "2": 66}, name
        assert json.dumps(each.described())


def test_several_inputs_and_batches_of_uneven_length():
    found = data_statistics([({"a": np.ones((4, 2, n)), "b": np.zeros((4, 3))}, np.ones(4)) for n in (5, 7)])
    assert found.arrays["x/a"].shape == (8, 2, None)
    assert found.arrays["x/a"].element_count == 4 * 2 * 12
    assert found.arrays["x/b"].zero_count == 24
    assert set(found.arrays) == {"x/a", "x/b", "y"}


def test_what_is_not_finite_is_counted_and_left_out():
    x = X.copy()
    x[3, 1, 4], x[5, 2, 0], x[6] = np.nan, -np.inf, np.nan
    found = data_statistics(x)
    same(found.arrays["x"], x)
    assert found.arrays["x"].quantiles[0.5] == pytest.approx(np.nanmedian(np.where(np.isinf(x), np.nan, x)), rel=2e-3)
    nothing = data_statistics(np.full((3, 2, 2), np.nan)).arrays["x"]
    assert math.isnan(nothing.mean)
    assert math.isnan(nothing.minimum)


def test_what_cannot_be_is_named():
    cases = [
        (lambda: data_statistics(np.empty((0, 3))), DataError, "without windows"),
        (lambda: data_statistics([]), DataError, "without windows"),
        (lambda: data_statistics(X, Y[:5]), DataError, "5 labels for 200 windows"),
        (lambda: data_statistics(7), ArgumentError, "Received int"),
        (lambda: data_statistics(X, quantiles=[2]), ArgumentError, "quantiles"),
        (lambda: data_statistics(Batches(), Y), ArgumentError, "labels="),
        (lambda: data_statistics(np.array([[None]])), DataError, "Python objects"),
        (lambda: data_statistics([X, X.astype("float64")]), DataError, "as in the first batch"),
        (lambda: data_statistics([(X, Y[:3])]), DataError, "same number in all parts"),
        (lambda: data_statistics(tf.data.Dataset.range(3).batch(1).repeat()), DataError, "never ends"),
    ]
    for call, kind, text in cases:
        with pytest.raises(kind, match=text):
            call()


def test_memory_does_not_grow_with_the_data(tmp_path):
    mapped = np.memmap(tmp_path / "x", "float32", "w+", shape=(3000, 10, 1000))
    tracemalloc.start()
    data_statistics(mapped)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6 < mapped.nbytes

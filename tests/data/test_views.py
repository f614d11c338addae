"""Predictions over several views: against all views at once, with real models."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from archiver.data import ArrayWindows, Augmentation, GaussianNoise, Scaling, predict_with_views, window_batches
from archiver.errors import ArgumentError, DataError

DATA = np.random.default_rng(0).normal(size=(21, 2, 8)).astype("float32")
NUMBERS = np.arange(len(DATA))
NOISE = Augmentation([Scaling(0.5, 1.5), GaussianNoise(0.2)], seed=4)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.layers.Input((2, 8)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])


def expected(model, count):
    return np.stack([model.predict_on_batch(NOISE.apply(DATA, NUMBERS, epoch)) for epoch in range(count)])


@pytest.mark.parametrize("batch_size", [1, 8, 100])
def test_mean_and_spread_of_augmented_views(model, batch_size):
    found = predict_with_views(model, DATA, NOISE, 5, batch_size=batch_size)
    views = expected(model, 5)
    np.testing.assert_allclose(found.mean, views.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.standard_deviation, views.std(axis=0), atol=1e-6)
    assert found.view_count == 5
    assert found.mean.dtype == np.float32


def test_every_kind_of_data_gives_the_same(model):
    sets = [
        ArrayWindows(DATA),
        tf.data.Dataset.from_tensor_slices(DATA).batch(4),
        tf.data.Dataset.from_tensor_slices((DATA, NUMBERS)).batch(4),
        window_batches(ArrayWindows(DATA), batch_size=4, shuffle=False, form="pydataset"),
        iter([DATA[:10], DATA[10:]]),
    ]
    reference = predict_with_views(model, DATA, NOISE, 3)
    for data in sets:
        found = predict_with_views(model, data, NOISE, 3)
        np.testing.assert_allclose(found.mean, reference.mean, atol=1e-6)
        np.testing.assert_allclose(found.standard_deviation, reference.standard_deviation, atol=1e-6)


def test_functions_as_views(model):
    found = predict_with_views(model, DATA, [lambda batch: batch, lambda batch: batch[..., ::-1]])
    views = np.stack([model.predict_on_batch(each) for each in (DATA, DATA[..., ::-1])])
    np.testing.assert_allclose(found.mean, views.mean(axis=0), atol=1e-6)
    alone = predict_with_views(model, DATA, [lambda batch: batch])
    assert (alone.standard_deviation == 0).all()


def test_several_inputs_and_outputs():
    raw, features = keras.Input((2, 8), name="raw"), keras.Input((4,), name="features")
    both = keras.layers.Concatenate()([keras.layers.Flatten()(raw), features])
    outputs = {"a": keras.layers.Dense(2)(both), "b": keras.layers.Dense(1)(both)}
    model = keras.Model({"raw": raw, "features": features}, outputs)
    x = {"raw": DATA, "features": DATA[:, 0, :4]}
    found = predict_with_views(model, x, NOISE, 2, augmented="raw", batch_size=5)
    views = [model.predict_on_batch(x | {"raw": NOISE.apply(DATA, NUMBERS, epoch)}) for epoch in range(2)]
    for name in ("a", "b"):
        np.testing.assert_allclose(found.mean[name], np.mean([view[name] for view in views], axis=0), atol=1e-5)
    with pytest.raises(ArgumentError, match="which one is augmented"):
        predict_with_views(model, x, NOISE, 2)
    with pytest.raises(ArgumentError, match="Received augmented='row'"):
        predict_with_views(model, x, NOISE, 2, augmented="row")


def test_what_cannot_be(model):
    with pytest.raises(ArgumentError, match="Received count=None"):
        predict_with_views(model, DATA, NOISE)
    with pytest.raises(ArgumentError, match="at least one function"):
        predict_with_views(model, DATA, [])
    with pytest.raises(DataError, match="without windows"):
        predict_with_views(model, DATA[:0], NOISE, 2)
    with pytest.raises(DataError, match="never ends"):
        predict_with_views(model, tf.data.Dataset.from_tensor_slices(DATA).batch(4).repeat(), NOISE, 2)
    with pytest.raises(ArgumentError, match="Received a int as data"):
        predict_with_views(model, 3, NOISE, 2)

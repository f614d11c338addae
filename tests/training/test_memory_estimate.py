"""The estimate before training: parts against real variables, nothing touched, bad input."""

import functools
import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import archiver
from archiver.errors import ArgumentError
from archiver.training.optimizers import variable_bytes
from archiver.training.random_states import random_states
from archiver.training.weights import to_array


def small(**last):
    return keras.Sequential(
        [
            keras.layers.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5, seed=1),
            keras.layers.Flatten(),
            keras.layers.Dense(3, **last),
        ]
    )


@functools.cache
def one_model():
    return small()


def size(variables):
    return sum(variable_bytes(each) for each in variables)


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.optimizers.SGD(),
        lambda: keras.optimizers.SGD(momentum=0.9),
        lambda: keras.optimizers.Adam(),
        lambda: keras.optimizers.Adam(amsgrad=True, gradient_accumulation_steps=4),
        lambda: keras.optimizers.AdamW(use_ema=True),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
    ],
)
def test_weights_gradients_and_slots_are_those_of_the_real_variables(make):
    model = small()
    estimate = archiver.estimate_memory(model, 4, optimizer=make())
    model.compile(make(), loss="mse")
    model.optimizer.build(model.trainable_variables)
    assert estimate.weights_bytes == size(model.variables)
    assert estimate.gradients_bytes == size(model.trainable_variables)
    assert estimate.optimizer_slots_bytes == size(model.optimizer.variables)


def test_frozen_layers_have_no_gradients_and_no_slots():
    model = small()
    before = archiver.estimate_memory(model, 4, optimizer="adam")
    model.layers[0].trainable = False
    after = archiver.estimate_memory(model, 4, optimizer="adam")
    frozen = size(model.layers[0].variables)
    assert before.gradients_bytes - after.gradients_bytes == frozen
    assert before.optimizer_slots_bytes - after.optimizer_slots_bytes == 2 * frozen


def test_mixed_precision_scales_the_loss_and_halves_what_is_kept():
    full = archiver.estimate_memory(small(), 4, optimizer="adam")
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small()
        half = archiver.estimate_memory(model, 4, optimizer="adam")
        model.compile("adam", loss="mse")
        model.optimizer.build(model.trainable_variables)
    finally:
        keras.config.set_dtype_policy("float32")
    assert half.optimizer_slots_bytes == size(model.optimizer.variables)
    assert half.precision == "mixed_float16"
    assert half.activations_bytes * 2 == full.activations_bytes
    assert half.casts_bytes > 0 == full.casts_bytes


def test_activations_follow_the_documented_formulas():
    estimate = archiver.estimate_memory(small(), 5, optimizer="sgd")
    convolution = 5 * 6 * 6 * 4 * 4
    found = list(estimate.activations_by_layer_bytes.values())
    assert found == [convolution, 2 * convolution, 2 * convolution, 0, 5 * 3 * 4]
    assert estimate.activations_bytes == sum(found)


def test_the_total_is_the_sum_of_the_parts_and_the_table_says_what_fits():
    x, y = np.zeros((20, 8, 8, 3), "float32"), np.zeros((20, 3), "float32")
    estimate = archiver.estimate_memory(small(), 4, optimizer="adam", data=(x, y))
    assert estimate.total_bytes == sum(estimate.parts().values())
    assert estimate.data_bytes == x.nbytes + y.nbytes
    assert estimate.batch_bytes == 3 * 4 * (x[0].nbytes + y[0].nbytes)
    assert {choice.batch_size for choice in estimate.choices} == {1, 2, 4, 8, 16}
    assert {choice.precision for choice in estimate.choices} == {"float32", "mixed_float16"}
    assert estimate.largest_batch_size > 16
    assert "largest batch that fits the RAM" in str(estimate)


def test_data_that_does_not_tell_is_said_and_not_read():
    def never():
        raise AssertionError("the data was read")
        yield

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            raise AssertionError("the data was read")

    for data in (never(), Batches(), None):
        estimate = archiver.estimate_memory(small(), 4, optimizer="adam", data=data)
        assert estimate.data_bytes is None
        assert "data: not known" not in str(estimate)
        assert any(note.startswith("data:") for note in estimate.notes)


def test_a_pipeline_tells_its_batch_but_not_what_it_holds():
    x, y = np.zeros((20, 8, 8, 3), "float32"), np.zeros((20, 3), "float32")
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    estimate = archiver.estimate_memory(small(), 4, optimizer="adam", data=data)
    assert (estimate.data_bytes, estimate.copies_bytes) == (None, None)
    assert estimate.batch_bytes == 3 * 4 * (x[0].nbytes + y[0].nbytes)
    assert estimate.total_bytes == sum(size or 0 for size in estimate.parts().values())
    assert "not known" in str(estimate)
    assert any("tf.data" in note for note in estimate.notes)


def test_nothing_is_touched():
    model = small()
    archiver.seed(3)
    optimizer = keras.optimizers.Adam(0.5)
    weights, generators = (
        [np.array(to_array(each)) for each in model.weights],
        [np.array(to_array(each)) for each in model.non_trainable_variables],
    )
    states = repr((random.getstate(), np.random.get_state(), random_states()))
    variables = [id(each) for each in model.variables]
    archiver.estimate_memory(model, 4, optimizer=optimizer)
    assert not optimizer.built
    assert repr((random.getstate(), np.random.get_state(), random_states())) == states
    assert [id(each) for each in model.variables] == variables
    assert not model.compiled
    for one, other in zip(weights, map(to_array, model.weights), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, variable in zip(generators, model.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(one, to_array(variable))


@given(st.integers(1, 10**6), st.integers(1, 10**6))
@settings(max_examples=15, deadline=None)
def test_a_larger_batch_never_takes_less(one, other):
    smaller, larger = sorted([one, other])
    first = archiver.estimate_memory(one_model(), smaller, optimizer="sgd").total_bytes
    assert first <= archiver.estimate_memory(one_model(), larger, optimizer="sgd").total_bytes


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True, "8", None])
def test_a_batch_size_that_is_none_is_refused(batch_size):
    with pytest.raises(ArgumentError, match="batch_size"):
        archiver.estimate_memory(small(), batch_size, optimizer="adam")


class OwnCall(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, values):
        return self.dense(values)


def test_what_cannot_be_known_is_an_error():
    unbuilt = keras.Sequential([keras.layers.Dense(2)])
    with pytest.raises(ArgumentError, match="not built"):
        archiver.estimate_memory(unbuilt, 4, optimizer="adam")
    subclassed = OwnCall()
    subclassed.build((None, 3))
    with pytest.raises(ArgumentError, match="no graph"):
        archiver.estimate_memory(subclassed, 4, optimizer="adam")
    open_ended = keras.Sequential([keras.layers.Input((None, 3)), keras.layers.LSTM(2)])
    with pytest.raises(ArgumentError, match="known lengths"):
        archiver.estimate_memory(open_ended, 4, optimizer="adam")
    with pytest.raises(ArgumentError, match="optimizer"):
        archiver.estimate_memory(small(), 4, optimizer="adamant")
    with pytest.raises(ArgumentError, match="Adafactor"):
        archiver.estimate_memory(small(), 4, optimizer=keras.optimizers.Adafactor())
    with pytest.raises(ArgumentError, match="not compiled"):
        archiver.estimate_memory(small(), 4)
    with pytest.raises(ArgumentError, match=r"keras\.Model"):
        archiver.estimate_memory("model", 4)

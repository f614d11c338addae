"""Operations by formula against TensorFlow's profiler and against what is counted by hand."""

import keras
import pytest
import tensorflow as tf
from keras import layers

from archiver.records.base import Unavailable
from archiver.training.flops import count_flops


def profiled(model, *shape):
    """What TensorFlow's profiler counts in the graph of one sample."""
    function = tf.function(lambda x: model(x, training=False))
    graph = function.get_concrete_function(tf.TensorSpec((1, *shape))).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder(tf.compat.v1.profiler.ProfileOptionBuilder.float_operation())
    found = tf.compat.v1.profiler.profile(graph, options=options.with_empty_output().build())
    return found.total_float_ops


def test_a_convolutional_network_is_what_tensorflow_counts():
    model = keras.Sequential(
        [
            layers.Input((16, 16, 3)),
            layers.Conv2D(8, 3, padding="same"),
            layers.MaxPooling2D(2),
            layers.Conv2D(4, 5, strides=2),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    assert count_flops(model).total == profiled(model, 16, 16, 3)


def test_relu_is_what_tensorflow_leaves_out():
    model = keras.Sequential([layers.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu"), layers.Flatten()])
    assert count_flops(model).total == profiled(model, 8, 8, 3) + 6 * 6 * 4


DENSE = 2 * 6 * 5 + 5

CASES = {
    "dense": (lambda: layers.Dense(5), (6,), DENSE),
    "dense without bias": (lambda: layers.Dense(5, use_bias=False, activation="relu"), (6,), 60 + 5),
    "dense over time": (lambda: layers.Dense(5), (3, 6), 3 * DENSE),
    "einsum": (lambda: layers.EinsumDense("abc,cde->abde", (3, 2, 4), bias_axes="de"), (3, 6), 2 * 3 * 6 * 8 + 24),
    "einsum with dots": (lambda: layers.EinsumDense("...x,xy->...y", 5, bias_axes="y"), (3, 6), 3 * DENSE),
    "conv 1d": (lambda: layers.Conv1D(4, 3), (10, 2), 8 * 4 * (2 * 3 * 2 + 1)),
    "grouped conv": (lambda: layers.Conv2D(4, 3, groups=2), (5, 5, 2), 9 * 4 * (2 * 9 * 1 + 1)),
    "conv 3d": (lambda: layers.Conv3D(2, 2, use_bias=False), (3, 3, 3, 1), 8 * 2 * 2 * 8),
    "transposed conv": (lambda: layers.Conv2DTranspose(4, 2, strides=2), (3, 3, 2), 2 * 9 * 2 * 4 * 4 + 36 * 4),
    "depthwise conv": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), (5, 5, 3), 9 * 6 * (2 * 9 + 1)),
    "separable conv": (lambda: layers.SeparableConv2D(4, 3), (5, 5, 3), 2 * 9 * 3 * 9 + 9 * 4 * (2 * 3 + 1)),
    "global pooling": (lambda: layers.GlobalAveragePooling2D(), (4, 4, 3), 48),
    "batch norm": (lambda: layers.BatchNormalization(), (4, 4, 3), 96),
    "layer norm": (lambda: layers.LayerNormalization(), (7, 3), 7 * 21),
    "softmax": (lambda: layers.Softmax(), (7,), 35),
    "activation": (lambda: layers.Activation("tanh"), (7,), 7),
    "embedding": (lambda: layers.Embedding(10, 4), (7,), 0),
    "dropout": (lambda: layers.Dropout(0.5), (7,), 0),
    "simple rnn": (lambda: layers.SimpleRNN(5), (3, 2), 3 * (2 * 5 * 7 + 5 + 5 + 5)),
    "lstm": (lambda: layers.LSTM(5), (3, 2), 3 * (2 * 4 * 5 * 7 + 3 * 20 + 25)),
    "gru": (lambda: layers.GRU(5), (3, 2), 3 * (2 * 3 * 5 * 7 + 4 * 15 + 25)),
    "bidirectional": (lambda: layers.Bidirectional(layers.SimpleRNN(5)), (3, 2), 2 * 3 * (70 + 15)),
    "time distributed": (lambda: layers.TimeDistributed(layers.Dense(5)), (3, 6), 3 * DENSE),
}


@pytest.mark.parametrize("name", CASES)
def test_each_kind_of_layer(name):
    make, shape, expected = CASES[name]
    layer = make()
    model = keras.Sequential([layers.Input(shape), layer])
    flops = count_flops(model)
    assert (flops.total, flops.not_counted) == (expected, {})
    assert flops.by_layer[id(layer)] == expected


def test_attention():
    query, value = keras.Input((7, 16)), keras.Input((9, 12))
    model = keras.Model([query, value], layers.MultiHeadAttention(2, 8, value_dim=4)(query, value))
    projections = 7 * (2 * 16 * 16 + 16) + 9 * (2 * 12 * 16 + 16) + 9 * (2 * 12 * 8 + 8) + 7 * (2 * 8 * 16 + 16)
    products = 2 * 7 * 9 * 2 * (8 + 4)
    assert count_flops(model).total == projections + products + 7 * 2 * 8 + 5 * 2 * 7 * 9


def test_a_layer_counts_as_often_as_it_is_called():
    shared, value = layers.Dense(6), keras.Input((6,))
    inner = keras.Model(value, shared(shared(value)) + value)
    one, two = keras.Input((6,)), keras.Input((6,))
    model = keras.Model([one, two], layers.Add()([inner(one), inner(two)]))
    flops = count_flops(model)
    dense = 2 * 36 + 6
    assert flops.total == 2 * (2 * dense + 6) + 6
    assert flops.by_layer[id(shared)] == 4 * dense
    assert flops.by_layer[id(inner)] == 2 * (2 * dense + 6)


def test_what_cannot_be_counted_says_why():
    class Own(layers.Dense):
        def call(self, inputs):
            return super().call(inputs) * 2

    flops = count_flops(keras.Sequential([layers.Input((6,)), Own(5), layers.Dense(5)]))
    assert flops.total == 2 * 25 + 5
    (name,) = flops.not_counted
    assert name.endswith("Own")
    unknown = count_flops(keras.Sequential([layers.Input((None, 6)), layers.Dense(5)])).part()
    assert "not known" in unknown.unavailable

    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    assert isinstance(count_flops(Subclassed()).part(), Unavailable)

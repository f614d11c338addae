"""What the record says of a model, against the live one."""

import json
import math

import keras
import numpy as np
import pytest
from keras import layers

from archiver.archive.documents import document_bytes, parse_document
from archiver.records.base import Unavailable
from archiver.records.model import ModelConfig
from archiver.training import architecture
from archiver.training.architecture import model_config
from archiver.training.weights import to_array


def by_name(model):
    return {part.name: part for part in model_config(model).layers}


def test_a_deep_model_stays_readable():
    model = keras.Sequential([layers.Input((8,)), *(layers.Dense(8, name=f"d{n}") for n in range(500))])
    record = model_config(model)
    data = document_bytes(record)
    assert len(data) < 3_000_000
    assert (record.layer_count, len(record.layers), record.layers_left_out) == (500, 500, 0)
    assert record.flops.per_sample == 500 * (2 * 64 + 8)
    assert max(len(line) for line in record.summary.splitlines()) <= architecture.SUMMARY_WIDTH
    assert record.layers[499].config["units"] == 8
    assert parse_document(data, ModelConfig, "there") == record
    keys = list(json.loads(data))
    assert keys[3:12] == [
        "name", "class_name", "parameters", "weights_bytes", "input_shape", "output_shape", "flops", "layer_count",
        "dtype_policy",
    ]  # fmt: skip
    assert keys[-4:] == ["summary", "layers", "layers_left_out", "config"]


def test_what_is_too_large_is_left_out_with_a_word(monkeypatch):
    monkeypatch.setattr(architecture, "MAXIMAL_LAYERS", 3)
    monkeypatch.setattr(architecture, "MAXIMAL_LAYER_CONFIG_LENGTH", 50)
    monkeypatch.setattr(architecture, "MAXIMAL_MODEL_CONFIG_LENGTH", 60)
    monkeypatch.setattr(architecture, "MAXIMAL_SUMMARY_LENGTH", 70)
    record = model_config(keras.Sequential([layers.Input((2,)), *(layers.Dense(2) for _ in range(5))]))
    assert (len(record.layers), record.layers_left_out, record.layer_count) == (3, 2, 5)
    assert ".keras" in record.layers[0].config["unavailable"]
    assert ".keras" in record.config["unavailable"]
    assert record.summary.endswith("characters more")


def test_the_memory_of_the_weights():
    model = keras.Sequential([layers.Input((3,)), layers.Dense(5), layers.BatchNormalization()])
    assert model_config(model).weights_bytes == sum(to_array(variable).nbytes for variable in model.weights)


def test_shapes_of_nested_shared_and_multiple_inputs():
    value = keras.Input((8,), name="value")
    inner = keras.Model(value, layers.Dense(4, name="deep")(value), name="inner")
    shared = layers.Dense(4, name="shared")
    one, two, wide = keras.Input((8,), name="one"), keras.Input((8,), name="two"), keras.Input((3, 8), name="wide")
    layers.Flatten(name="elsewhere")(shared(keras.Input((5, 5, 8))))
    sums = layers.Add(name="add")([inner(one), inner(two), shared(one)])
    model = keras.Model({"one": one, "two": two, "wide": wide}, [sums, shared(wide)])
    record, parts = model_config(model), by_name(model)
    assert record.input_shape == {"one": [None, 8], "two": [None, 8], "wide": [None, 3, 8]}
    assert record.output_shape == [[None, 4], [None, 3, 4]]
    assert parts["add"].input_shape == [[None, 4]] * 3
    assert parts["shared"].input_shape == {"calls": [[None, 8], [None, 3, 8]]}, "what is called elsewhere is left out"
    assert parts["shared"].output_shape == {"calls": [[None, 4], [None, 3, 4]]}
    assert (parts["inner"].input_shape, parts["inner"].depth) == ([None, 8], 0)
    assert (parts["deep"].input_shape, parts["deep"].depth, parts["deep"].config["units"]) == ([None, 8], 1, 4)
    assert parts["one"].flops_per_sample == 0
    assert record.layer_count == len(model.layers)


def test_attention_with_several_arguments():
    query, value = keras.Input((7, 16)), keras.Input((9, 12))
    model = keras.Model([query, value], layers.MultiHeadAttention(2, 8, name="attention")(query, value=value))
    parts = by_name(model)
    assert parts["attention"].input_shape == [[None, 7, 16], [None, 9, 12]]
    assert parts["attention"].output_shape == [None, 7, 16]
    inside = [part.name for part in model_config(model).layers if part.depth == 1]
    assert {"query", "key", "value", "attention_output"} <= set(inside)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = layers.Dense(4, name="first")
        self.rest = [layers.Dense(3, name=f"rest{n}") for n in range(2)]
        self.last = layers.Dropout(0.1, name="last")

    def call(self, inputs):
        inputs = self.first(inputs)
        for layer in self.rest:
            inputs = layer(inputs)
        return self.last(inputs)


def test_a_subclassed_model_says_what_keras_does_not_tell():
    model = Subclassed()
    unbuilt = model_config(model)
    assert not unbuilt.built
    assert "not built" in unbuilt.weights_bytes.unavailable
    model(np.zeros((2, 5), "float32"))
    record, parts = model_config(model), by_name(model)
    assert (record.input_shape, parts["first"].input_shape, parts["first"].output_shape) == ([2, 5], [2, 5], [2, 4])
    assert "Keras does not tell" in record.output_shape["unavailable"]
    assert "graph" in record.flops.unavailable
    assert isinstance(parts["first"].flops_per_sample, Unavailable)
    assert record.parameters.total == sum(math.prod(variable.shape) for variable in model.weights)


def test_looking_at_a_model_runs_nothing_of_it():
    class Counting(layers.Layer):
        runs = 0

        def call(self, inputs):
            Counting.runs += 1
            return inputs

    class Around(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = Counting()

        def call(self, inputs):
            return self.inner(inputs)

    model = Around()
    model(np.zeros((2, 5), "float32"))
    runs = Counting.runs
    model_config(model)
    assert Counting.runs == runs


def test_a_layer_whose_config_fails_says_why():
    class Rude(layers.Layer):
        def get_config(self):
            raise RuntimeError("no, password=hunter2hunter2")

        def call(self, inputs):
            return inputs

    (part,) = model_config(keras.Sequential([layers.Input((2,)), Rude()])).layers
    assert part.config["unavailable"].startswith("RuntimeError: no")
    assert "hunter2" not in part.config["unavailable"]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "bfloat16"])
def test_the_policy_of_each_layer(policy):
    model = keras.Sequential([layers.Input((2,)), layers.Dense(3, dtype=policy)])
    record = model_config(model)
    assert record.layers[0].dtype_policy == policy
    assert record.weights_bytes == 9 * (2 if policy == "bfloat16" else 4)

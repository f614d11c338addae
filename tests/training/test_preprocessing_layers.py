"""All layers that prepare the input are found, told apart, and kept readable."""

import hashlib
import json

import keras
import numpy as np
import pytest

from archiver.training.preprocessing_layers import preprocessing


def found(model):
    return preprocessing(model, None, {}).layers


def test_in_the_order_of_the_data_s_way_and_in_nested_models():
    augmentation = keras.Sequential(
        [keras.layers.RandomFlip("horizontal"), keras.layers.RandomRotation(0.1, seed=3)], name="augmentation"
    )
    x = keras.Input((8, 8, 3))
    inner_input = keras.Input((8, 8, 3))
    inner = keras.Model(inner_input, keras.layers.CenterCrop(4, 4, name="crop")(inner_input), name="inner")
    y = inner(augmentation(keras.layers.Rescaling(1 / 255, name="scale")(x)))
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(y)))
    parts = found(model)
    assert [(part.path.split("/")[0], part.kind) for part in parts] == [
        ("scale", "preprocessing"),
        ("augmentation", "augmentation"),
        ("augmentation", "augmentation"),
        ("inner", "preprocessing"),
    ]
    assert parts[0].config["scale"] == 1 / 255
    assert [part.class_name.rsplit(".", 1)[-1] for part in parts[1:]] == ["RandomFlip", "RandomRotation", "CenterCrop"]
    assert (parts[2].config["seed"], parts[3].path) == (3, "inner/crop")


class Mine(keras.layers.Rescaling):
    """Defined in a module of the user's."""


class Branches(keras.Model):
    def __init__(self):
        super().__init__()
        self.prepare = [Mine(2.0), keras.layers.Pipeline([keras.layers.RandomBrightness(0.1)], name="pipe")]
        self.dense = keras.layers.Dense(2)

    def call(self, x):
        for layer in self.prepare:
            x = layer(x)
        return self.dense(x)


def test_a_model_in_its_own_class_and_a_pipeline():
    parts = found(Branches())
    names = [(part.class_name.rsplit(".", 1)[-1], part.kind) for part in parts]
    assert names == [("Mine", "preprocessing"), ("Pipeline", "augmentation"), ("RandomBrightness", "augmentation")]
    assert parts[2].path.startswith("pipe/")


def test_what_was_learned_from_the_data():
    x = np.random.default_rng(0).normal(3, 2, (500, 200)).astype("float32")
    normalization = keras.layers.Normalization()
    normalization.adapt(x)
    small = keras.layers.Normalization()
    small.adapt(x[:, :2])
    lookup = keras.layers.StringLookup(vocabulary=["b", "a"])
    model = keras.Sequential([keras.layers.Input((200,)), normalization, keras.layers.Dense(2)])
    (wide,) = found(model)
    assert (wide.learned["mean"]["count"], len(wide.learned["mean"]["first"])) == (200, 10)
    assert wide.learned["mean"]["first"] == pytest.approx(x.mean(axis=0)[:10].tolist(), rel=1e-4)
    (narrow,) = found(keras.Sequential([keras.layers.Input((2,)), small]))
    assert narrow.learned["variance"] == pytest.approx(x[:, :2].var(axis=0).tolist(), rel=1e-4)
    words = keras.Model(text := keras.Input((), dtype="string"), lookup(text))
    assert found(words)[0].learned == {"vocabulary": ["[UNK]", "b", "a"]}


def test_a_vocabulary_of_a_hundred_thousand_words_is_cut():
    words = [f"word{number}" for number in range(100_000)]
    text = keras.Input((), dtype="string")
    lookup = keras.layers.StringLookup(vocabulary=words)
    (part,) = found(keras.Model(text, lookup(text)))
    assert len(part.model_dump_json()) < 2000
    expected = json.dumps(["[UNK]", *words], separators=(",", ":")).encode()
    assert part.learned["vocabulary"]["sha256"] == hashlib.sha256(expected).hexdigest()
    assert part.config["vocabulary"]["count"] == 100_000

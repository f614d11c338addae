"""What the train config says of arguments, compilation and what Keras made of them."""

import argparse
import dataclasses
import math
from pathlib import Path

import keras
import numpy as np
import pydantic
import pytest
import tensorflow as tf

import archiver
from archiver import layout
from archiver.records.base import Unavailable
from archiver.training.compilation import jit, loss, why_not_compiled
from archiver.training.fit_config import phase_config
from tests.training import small


def phase_of(archive, index=-1):
    return archive.run.read(layout.TRAIN_CONFIG).phases[index]


def train(root, model=None, x=None, y=None, **arguments):
    model = model or small.model()
    if x is None:
        x, y = small.arrays()
    archive = archiver.RunArchiver(root, name="a", hyperparameters=arguments.pop("hyperparameters", None))
    model.fit(x, y, verbose=0, callbacks=[archive], **arguments)
    return phase_of(archive)


def test_arrays_with_defaults(tmp_path):
    phase = train(tmp_path, validation_split=0.25, sample_weight=np.ones(48))
    assert phase.fit_arguments.keys() == {"x", "y", "verbose", "validation_split", "sample_weight"}
    assert phase.fit_arguments["x"] == {"array": {"shape": [48, 4], "dtype": "float32"}}
    resolved = phase.resolved_arguments
    assert resolved["x"] == {"array": {"shape": [36, 4], "dtype": "float32"}}
    assert resolved["validation_data"][0] == {"array": {"shape": [12, 4], "dtype": "float32"}}
    plain = {name: value for name, value in resolved.items() if name not in ("x", "y", "sample_weight")}
    assert plain | {"validation_data": None} == {
        "batch_size": None, "epochs": 1, "verbose": 0, "validation_split": 0.25, "validation_data": None,
        "shuffle": True, "class_weight": None, "initial_epoch": 0, "steps_per_epoch": None, "validation_steps": None,
        "validation_batch_size": None, "validation_freq": 1,
    }  # fmt: skip
    assert (phase.batch_size, phase.steps_per_epoch) == (32, math.ceil(36 / 32))
    assert phase.sample_weight_given is True
    validation = phase.validation
    assert (validation.source, validation.split, validation.batch_size, validation.steps) == (
        "validation_split", 0.25, 32, 1,
    )  # fmt: skip


def dataset(**batch):
    return tf.data.Dataset.from_tensor_slices(small.arrays()).batch(**batch)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return small.arrays(8, index)


CASES = {
    "tf.data": (lambda: dataset(batch_size=10).prefetch(1), 10, 5),
    "tf.data, same size": (lambda: dataset(batch_size=12, drop_remainder=True).map(lambda x, y: (x, y)), 12, 4),
    "tf.data, mapped": (lambda: dataset(batch_size=10).map(lambda x, y: (x, y)), None, 5),
    "tf.data, in batches anew": (lambda: dataset(batch_size=10).unbatch().batch(6), 6, None),
    "PyDataset": (Batches, None, 5),
    "array_batches": (lambda: archiver.data.array_batches(*small.arrays(), batch_size=7, seed=1), 7, 7),
}


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # of Keras, where the length is not known
@pytest.mark.parametrize("case", CASES)
def test_data_sets(case, tmp_path):
    make, size, steps = CASES[case]
    phase = train(tmp_path, x=make(), validation_data=make(), shuffle=False)
    assert (None if isinstance(phase.batch_size, Unavailable) else phase.batch_size) == size
    assert (None if isinstance(phase.steps_per_epoch, Unavailable) else phase.steps_per_epoch) == steps
    for found, expected in ((phase.validation.batch_size, size), (phase.validation.steps, steps)):
        assert (None if isinstance(found, Unavailable) else found) == expected


def test_ten_thousand_class_weights_are_cut(tmp_path):
    phase = train(tmp_path, class_weight=dict.fromkeys(range(10000), 1.0), steps_per_epoch=1)
    assert phase.class_weight["count"] == phase.fit_arguments["class_weight"]["count"] == 10_000


def my_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


def two_outputs():
    x = keras.Input((4,))
    model = keras.Model(
        x, {"a": keras.layers.Dense(1, name="a")(x), "b": keras.layers.Dense(3, "softmax", name="b")(x)}
    )
    model.compile(
        "adam",
        loss={"a": my_loss, "b": keras.losses.SparseCategoricalCrossentropy(ignore_class=2)},
        loss_weights={"a": 0.25, "b": 1.0},
        metrics={"a": ["mae"], "b": ["accuracy"]},
        weighted_metrics={"a": [], "b": [keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top")]},
        steps_per_execution=2,
    )
    return model


def test_two_outputs(tmp_path):
    x, y = small.arrays()
    phase = train(tmp_path, two_outputs(), x, {"a": x[:, :1], "b": y}, batch_size=12)
    assert phase.loss["a"].endswith("test_fit_config.my_loss")
    assert phase.loss["b"]["config"]["ignore_class"] == 2
    assert phase.loss_weights == {"a": 0.25, "b": 1.0}
    assert phase.metrics == {"a": ["mae"], "b": ["accuracy"]}
    assert phase.weighted_metrics["b"][0]["config"]["k"] == 2
    assert phase.steps_per_execution == 2
    losses = {part.output: part for part in phase.losses}
    assert {name: part.weight for name, part in losses.items()} == {"a": 0.25, "b": 1.0}
    assert losses["b"].class_name.endswith(".SparseCategoricalCrossentropy")
    found = {
        (part.output, part.name): (part.class_name.rsplit(".", 1)[-1], part.weighted) for part in phase.resolved_metrics
    }
    assert found == {
        ("a", "mae"): ("MeanAbsoluteError", False),
        ("b", "accuracy"): ("SparseCategoricalAccuracy", False),
        ("b", "top"): ("SparseTopKCategoricalAccuracy", True),
    }


class StopEarly(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise RuntimeError("ends here")


def test_what_keras_resolves_late_is_said_to_be_late(tmp_path):
    x, y = small.arrays()
    archive = archiver.RunArchiver(tmp_path, name="a")
    with pytest.raises(RuntimeError, match="ends here"):
        small.model(is_built=False).fit(x, y, verbose=0, callbacks=[StopEarly(), archive])
    phase = phase_of(archive)
    assert "in the first step" in phase.losses.unavailable
    assert "in the first step" in phase.resolved_metrics.unavailable


def test_xla_and_why_not():
    model = small.model()
    assert jit(model).resolved is False
    assert jit(model).reason == "there are no devices but CPUs: auto means off"
    model.compile("sgd", loss="mse", jit_compile=True)
    assert (jit(model).resolved, jit(model).reason) == (True, None)
    model.compile("sgd", loss="mse", run_eagerly=True)
    assert jit(model).reason == "run_eagerly is on"
    model.layers[0].supports_jit = False
    model.compile("sgd", loss="mse")
    assert why_not_compiled(model) == f"XLA does not support the layer {model.layers[0].name!r}"
    assert isinstance(jit(keras.Sequential([keras.layers.Dense(2)])).resolved, Unavailable)


def test_a_distribution_strategy(tmp_path):
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        model = small.model()
    phase = train(tmp_path, model)
    assert phase.distribution.class_name.endswith(".OneDeviceStrategy")
    assert phase.distribution.replicas == 1
    assert train(tmp_path).distribution is None


class Rude(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return keras.ops.mean(y_pred, axis=-1)

    def get_config(self):
        raise ValueError("token=hunter2")


def test_a_loss_that_does_not_tell_its_config():
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", loss=Rude())
    assert loss(model)["config"] == {"unavailable": "ValueError: token=[redacted]"}


def test_a_call_that_nobody_saw():
    """A training loop of the user's own: nothing is known, and every place says so."""
    from archiver.training.capture import capture

    phase = phase_config(small.model(), capture(small.model()), 0, [], None)
    for value in (phase.batch_size, phase.epochs, phase.steps_per_epoch, phase.validation, phase.sample_weight_given):
        assert isinstance(value, Unavailable)
    assert "unavailable" in phase.resolved_arguments


class Settings(pydantic.BaseModel):
    rate: float
    api_key: str


@dataclasses.dataclass
class Nested:
    settings: Settings
    data: Path
    steps: np.int64


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"rate": np.float32(0.5), "n": np.int64(3)}, {"rate": 0.5, "n": 3}),
        (argparse.Namespace(rate=0.5, token="abcdef"), {"rate": 0.5, "token": "[redacted]"}),
        (Settings(rate=0.1, api_key="hunter2"), {"rate": 0.1, "api_key": "[redacted]"}),
        (
            Nested(Settings(rate=0.1, api_key="hunter2"), Path("a") / "b", np.int64(4)),
            {"settings": {"rate": 0.1, "api_key": "[redacted]"}, "data": "a/b", "steps": 4},
        ),
    ],
)
def test_hyperparameters(given, expected, tmp_path):
    archive = archiver.RunArchiver(tmp_path, name="a", hyperparameters=given)
    assert archive.options.hyperparameters == expected


def test_hyperparameters_without_names_are_refused(tmp_path):
    with pytest.raises(archiver.errors.ArgumentError, match="a pydantic model"):
        archiver.RunArchiver(tmp_path, name="a", hyperparameters=[1, 2])

"""What a run must be archived for: one noun per kind of model and per kind of data, each of them tiny.

`MODELS` and `DATA` list the nouns. `make` seeds everything, builds a fresh case, and may change global state (the
dtype policy) that the case's `cleanup` restores. A case says which formats Keras itself can write for its model;
that was found by trying, with Keras 3.15 on TensorFlow 2.21.

Import this before TensorFlow is first used: it splits the CPU into two logical devices, for MirroredStrategy.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

FORMATS = frozenset({"keras", "h5", "weights.h5"})
WEIGHTS_ONLY = frozenset({"weights.h5"})
SEED = 7
SAMPLES, TEST_SAMPLES, BATCH, EPOCHS = 12, 6, 4, 2
FEATURES, CLASSES, TIMESTEPS = 4, 3, 5
WORDS = np.array(["red", "green", "blue", "grey"])

with contextlib.suppress(RuntimeError):  # too late: TensorFlow is in use, and mirrored_two_devices will say so
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )

NOT_SHUFFLED = "`shuffle=True` was passed, but will be ignored"
NOT_QUANTIZED = "Layer InputLayer does not have a `quantize` method"
COPY_KEYWORD = "__array__ implementation doesn't accept a copy keyword"


def _nothing() -> None:
    """The cleanup of a case that changes nothing global."""


@dataclass(frozen=True)
class Case:
    """A compiled model, and what to fit and test it with."""

    model: keras.Model
    fit_arguments: dict[str, Any]
    test_data: Any
    exports: frozenset[str] = FORMATS
    """The formats that Keras can write for this model."""
    cleanup: Callable[[], None] = _nothing
    reloads: bool = True
    """Whether loading the .weights.h5 into the live model gives back its weights."""


@dataclass(frozen=True)
class Noun:
    """One thing that archiving must hold for."""

    name: str
    make: Callable[[], Case]
    keras_warns: tuple[str, ...] = ()
    """How the warnings begin that Keras itself gives while it builds, trains and evaluates. What it says while it saves
    is not among them: an archive shall not pass that on."""


MODELS: list[Noun] = []
DATA: list[Noun] = []


def _register(nouns: list[Noun], keras_warns: tuple[str, ...] = ()) -> Callable[[Callable[[], Case]], None]:
    def register(make: Callable[[], Case]) -> None:
        def seeded() -> Case:
            keras.utils.set_random_seed(SEED)
            return make()

        nouns.append(Noun(make.__name__, seeded, keras_warns))

    return register


model_noun = partial(_register, MODELS)
data_noun = partial(_register, DATA)


# Data


def numbers(*shape: int, seed: int = SEED) -> np.ndarray:
    """Standard normal samples of this shape."""
    return np.random.default_rng(seed).normal(size=(SAMPLES, *shape)).astype("float32")


def targets() -> np.ndarray:
    """One real number per sample."""
    return numbers(1)


def labels() -> np.ndarray:
    """The classes in turn."""
    return np.arange(SAMPLES) % CLASSES


def words(count: int) -> tf.Tensor:
    """Rows of `count` words; a tensor, as Keras takes no NumPy arrays of text."""
    return tf.constant(np.random.default_rng(SEED).choice(WORDS, size=(SAMPLES, count)))


def dataset(*arrays: Any) -> tf.data.Dataset:
    """Batches of the arrays' elements."""
    return tf.data.Dataset.from_tensor_slices(arrays).batch(BATCH)


def some(data: Any) -> Any:
    """The first samples of data of any structure, to test with."""
    return keras.tree.map_structure(lambda array: array[:TEST_SAMPLES], data)


def case(model: keras.Model, x: Any, y: Any, **more: Any) -> Case:
    """The case that fits `model` to arrays."""
    fit_arguments = {"x": x, "y": y, "batch_size": BATCH, "epochs": EPOCHS, "verbose": 0}
    return Case(model, fit_arguments, (some(x), some(y)), **more)


# Models


def compiled(model: keras.Model, loss: Any = "mse", optimizer: Any = "adam", **arguments: Any) -> keras.Model:
    """The model, compiled."""
    model.compile(optimizer=optimizer, loss=loss, **arguments)
    return model


def regression(*hidden: layers.Layer, shape: tuple[int, ...] = (FEATURES,), **arguments: Any) -> keras.Model:
    """A sequential model of these layers and one output; the arguments are for `compile`."""
    return compiled(keras.Sequential([keras.Input(shape), *hidden, layers.Dense(1)]), **arguments)


def classifier(**arguments: Any) -> keras.Model:
    """A small classifier of vectors; the arguments are for `compile`."""
    output = layers.Dense(CLASSES, activation="softmax")
    model = keras.Sequential([keras.Input((FEATURES,)), layers.Dense(8, activation="relu"), output])
    return compiled(model, **{"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **arguments})


@model_noun()
def sequential() -> Case:
    return case(classifier(), numbers(FEATURES), labels())


@model_noun()
def functional() -> Case:
    inputs = keras.Input((FEATURES,))
    hidden = layers.Dense(FEATURES, activation="relu")(inputs)
    outputs = layers.Dense(1, activation="sigmoid")(layers.Add()([inputs, hidden]))
    model = compiled(keras.Model(inputs, outputs), loss="binary_crossentropy", metrics=["accuracy"])
    return case(model, numbers(FEATURES), labels() % 2)


@model_noun()
def several_inputs() -> Case:
    left, right = keras.Input((FEATURES,), name="left"), keras.Input((2,), name="right")
    model = keras.Model([left, right], layers.Dense(1)(layers.Concatenate()([left, right])))
    return case(compiled(model), [numbers(FEATURES), numbers(2)], targets())


@model_noun()
def several_outputs() -> Case:
    inputs = keras.Input((FEATURES,))
    outputs = [layers.Dense(1, name="size")(inputs), layers.Dense(CLASSES, activation="softmax", name="kind")(inputs)]
    losses = ["mse", "sparse_categorical_crossentropy"]
    model = compiled(keras.Model(inputs, outputs), loss=losses, metrics=[["mae"], ["accuracy"]])
    return case(model, numbers(FEATURES), [targets(), labels()])


@model_noun()
def several_inputs_and_outputs() -> Case:
    inputs = [keras.Input((FEATURES,)), keras.Input((FEATURES,))]
    merged = layers.Average()(inputs)
    outputs = [layers.Dense(1, name="one")(merged), layers.Dense(2, name="two")(merged)]
    model = compiled(keras.Model(inputs, outputs), loss=["mse", "mae"])
    return case(model, [numbers(FEATURES), numbers(FEATURES, seed=8)], [targets(), numbers(2)])


@model_noun()
def dicts_of_inputs_and_outputs() -> Case:
    inputs = {"left": keras.Input((FEATURES,), name="left"), "right": keras.Input((2,), name="right")}
    merged = layers.Concatenate()(list(inputs.values()))
    outputs = {
        "size": layers.Dense(1, name="size")(merged),
        "kind": layers.Dense(CLASSES, activation="softmax", name="kind")(merged),
    }
    losses = {"size": "mse", "kind": "sparse_categorical_crossentropy"}
    model = compiled(keras.Model(inputs, outputs), loss=losses, metrics={"kind": ["accuracy"]})
    return case(model, {"left": numbers(FEATURES), "right": numbers(2)}, {"size": targets(), "kind": labels()})


@model_noun()
def shared_layers() -> Case:
    shared = layers.Dense(3, name="shared")
    left, right = keras.Input((FEATURES,)), keras.Input((FEATURES,))
    model = keras.Model([left, right], layers.Dense(1)(layers.Add()([shared(left), shared(right)])))
    return case(compiled(model), [numbers(FEATURES), numbers(FEATURES, seed=8)], targets())


@model_noun()
def nested_models() -> Case:
    inner = keras.Sequential([keras.Input((FEATURES,)), layers.Dense(3, name="inside")], name="inner")
    inputs = keras.Input((FEATURES,))
    middle = keras.Model(inputs, layers.Dense(2, name="inside")(inner(inputs)), name="middle")
    return case(regression(middle), numbers(FEATURES), targets())


@model_noun()
def layers_shared_by_nested_models() -> Case:
    inputs = keras.Input((FEATURES,))
    shared = layers.Dense(3, name="shared")
    first = keras.Model(inputs, layers.Dense(2)(shared(inputs)), name="first")
    second = keras.Model(inputs, layers.Dense(2)(shared(inputs)), name="second")
    outer = keras.Input((FEATURES,))
    model = keras.Model(outer, layers.Dense(1)(layers.Add()([first(outer), second(outer)])))
    return case(compiled(model), numbers(FEATURES), targets())


@keras.saving.register_keras_serializable(package="nouns")
class WithConfig(keras.Model):
    """A subclassed model that Keras can rebuild from its config."""

    def __init__(self, widths: list[int], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.widths = widths
        self.hidden = [layers.Dense(width) for width in widths]
        self.last = layers.Dense(1)

    def call(self, inputs):
        for layer in self.hidden:
            inputs = layer(inputs)
        return self.last(inputs)

    def get_config(self):
        return {**super().get_config(), "widths": self.widths}


@model_noun()
def subclassed_with_get_config() -> Case:
    return case(compiled(WithConfig([4, 2])), numbers(FEATURES), targets())


class OneArgument(keras.Model):
    """A subclassed model without `get_config`, whose argument JSON could hold."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden, self.last = layers.Dense(width), layers.Dense(1)

    def call(self, inputs):
        return self.last(self.hidden(inputs))


class OneDefault(OneArgument):
    """The same with a default, which Keras then takes for the argument's value, whatever that was."""

    def __init__(self, width: int = 3) -> None:
        super().__init__(width)


@model_noun()
def subclassed_with_an_argument() -> Case:
    return case(compiled(OneArgument(5)), numbers(FEATURES), targets(), exports=WEIGHTS_ONLY)


@model_noun()
def subclassed_with_a_default() -> Case:
    return case(compiled(OneDefault(5)), numbers(FEATURES), targets())


class WithoutConfig(keras.Model):
    """A subclassed model without `get_config`, whose argument JSON cannot hold."""

    def __init__(self, activation: Callable[[Any], Any]) -> None:
        super().__init__()
        self.activation = activation
        self.hidden, self.last = layers.Dense(3), layers.Dense(1)

    def call(self, inputs):
        return self.last(self.activation(self.hidden(inputs)))


@model_noun()
def subclassed_without_config() -> Case:
    model = compiled(WithoutConfig(lambda value: value * value))
    return case(model, numbers(FEATURES), targets(), exports=WEIGHTS_ONLY)


class UnregisteredScale(layers.Layer):
    """A layer with one weight that Keras does not know by name."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

    def call(self, inputs):
        return inputs * self.scale


@keras.saving.register_keras_serializable(package="nouns")
class RegisteredScale(UnregisteredScale):
    """A layer with one weight that Keras knows by name."""


@model_noun()
def custom_layer_registered() -> Case:
    return case(regression(RegisteredScale()), numbers(FEATURES), targets())


@model_noun()
def custom_layer_unregistered() -> Case:
    return case(regression(UnregisteredScale()), numbers(FEATURES), targets())


class Apply(layers.Layer):
    """A layer that cannot say what it was made from."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


@model_noun()
def custom_layer_without_config() -> Case:
    return case(regression(Apply(ops.tanh)), numbers(FEATURES), targets(), exports=WEIGHTS_ONLY)


class TwoOfOneName(layers.Layer):
    """A layer with two weights of the same name: the .h5 format finds its weights by name."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="weight")
        self.offset = self.add_weight(shape=(shape[-1],), initializer="zeros", name="weight")

    def call(self, inputs):
        return inputs * self.scale + self.offset


@model_noun()
def custom_layer_with_two_weights_of_one_name() -> Case:
    return case(regression(TwoOfOneName()), numbers(FEATURES), targets(), exports=FORMATS - {"h5"})


def unregistered_loss(y_true: Any, y_pred: Any) -> Any:
    """A loss that is a plain function."""
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


@keras.saving.register_keras_serializable(package="nouns")
class RegisteredLoss(keras.losses.Loss):
    """A loss with an argument of its own."""

    def __init__(self, power: int = 4, name: str = "registered_loss", **arguments: Any) -> None:
        super().__init__(name=name, **arguments)
        self.power = power

    def call(self, y_true, y_pred):
        return ops.mean(ops.abs(y_true - y_pred) ** self.power, axis=-1)

    def get_config(self):
        return {**super().get_config(), "power": self.power}


@model_noun()
def custom_loss_registered() -> Case:
    return case(regression(loss=RegisteredLoss(power=2)), numbers(FEATURES), targets())


@model_noun()
def custom_loss_unregistered() -> Case:
    return case(regression(loss=unregistered_loss), numbers(FEATURES), targets())


@model_noun()
def lambda_loss() -> Case:
    model = regression(loss=lambda y_true, y_pred: ops.mean(ops.abs(y_true - y_pred), axis=-1))
    return case(model, numbers(FEATURES), targets())


class UnregisteredMetric(keras.metrics.Metric):
    """The largest error of the epoch."""

    def __init__(self, name: str = "largest_error", **arguments: Any) -> None:
        super().__init__(name=name, **arguments)
        self.largest = self.add_weight(name="largest", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        error = ops.cast(ops.max(ops.abs(y_true - y_pred)), self.largest.dtype)
        self.largest.assign(ops.maximum(self.largest, error))

    def result(self):
        return self.largest + 0


@keras.saving.register_keras_serializable(package="nouns")
class RegisteredMetric(UnregisteredMetric):
    """The largest error, known to Keras by name."""


@model_noun()
def custom_metric_registered() -> Case:
    return case(regression(metrics=[RegisteredMetric()]), numbers(FEATURES), targets())


@model_noun()
def custom_metric_unregistered() -> Case:
    return case(regression(metrics=[UnregisteredMetric()]), numbers(FEATURES), targets())


@model_noun()
def lambda_layer() -> Case:
    return case(regression(layers.Lambda(lambda value: value * 2)), numbers(FEATURES), targets())


@model_noun()
def lstm() -> Case:
    model = regression(layers.LSTM(3, dropout=0.2), shape=(TIMESTEPS, FEATURES))
    return case(model, numbers(TIMESTEPS, FEATURES), targets())


@model_noun()
def gru() -> Case:
    model = regression(layers.GRU(3), shape=(TIMESTEPS, FEATURES))
    return case(model, numbers(TIMESTEPS, FEATURES), targets())


def reader(first: layers.Layer, length: int) -> keras.Model:
    """A model of rows of `length` words."""
    inputs = keras.Input((length,), dtype="string")
    embedded = layers.Embedding(len(WORDS) + 2, 2)(first(inputs))
    return compiled(keras.Model(inputs, layers.Dense(1)(layers.Flatten()(embedded))))


@model_noun()
def string_lookup_with_vocabulary() -> Case:
    return case(reader(layers.StringLookup(vocabulary=list(WORDS)), 2), words(2), targets())


@model_noun()
def string_lookup_adapted() -> Case:
    lookup = layers.StringLookup()
    lookup.adapt(words(2))
    return case(reader(lookup, 2), words(2), targets())


@model_noun()
def text_vectorization() -> Case:
    texts = tf.strings.reduce_join(words(3), axis=1, keepdims=True, separator=" ")
    vectorization = layers.TextVectorization(output_sequence_length=3)
    vectorization.adapt(texts)
    return case(reader(vectorization, 1), texts, targets())


@model_noun()
def normalization() -> Case:
    x = 5 + 3 * numbers(FEATURES)
    layer = layers.Normalization()
    layer.adapt(x)
    return case(regression(layer), x, targets())


@model_noun()
def batch_normalization_and_dropout() -> Case:
    model = regression(layers.Dense(6), layers.BatchNormalization(), layers.Dropout(0.3))
    return case(model, numbers(FEATURES), targets())


@keras.saving.register_keras_serializable(package="nouns")
class PackedVariables(layers.Layer):
    """A layer that saves its two variables as one array, under a name of its own."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
        self.offset = self.add_weight(shape=(shape[-1],), initializer="zeros", name="offset")

    def call(self, inputs):
        return inputs * self.scale + self.offset

    def save_own_variables(self, store):
        store["packed"] = np.stack([self.scale.numpy(), self.offset.numpy()])

    def load_own_variables(self, store):
        scale, offset = np.array(store["packed"])
        self.scale.assign(scale)
        self.offset.assign(offset)


@model_noun()
def own_save_own_variables() -> Case:
    return case(regression(PackedVariables()), numbers(FEATURES), targets())


# Precision and quantization


def under_policy(policy: str, optimizer: str = "adam") -> Case:
    """A classifier made while this dtype policy is the global one."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    model = classifier(optimizer=optimizer)
    return case(model, numbers(FEATURES), labels(), cleanup=lambda: keras.config.set_dtype_policy(before))


@model_noun()
def mixed_float16() -> Case:
    return under_policy("mixed_float16")


@model_noun()
def mixed_bfloat16() -> Case:
    return under_policy("mixed_bfloat16")


@model_noun()
def pure_bfloat16() -> Case:
    return under_policy("bfloat16", optimizer="sgd")  # Adam's 0.999 rounds to 1 there, and its steps to 0


@model_noun(keras_warns=(NOT_QUANTIZED, COPY_KEYWORD))
def int8_frozen_under_a_trainable_head() -> Case:
    body = keras.Sequential([keras.Input((FEATURES,)), layers.Dense(8, activation="relu")], name="body")
    body.quantize("int8")
    body.trainable = False
    return case(regression(body), numbers(FEATURES), targets())


@model_noun(keras_warns=(NOT_QUANTIZED, COPY_KEYWORD))
def int8_with_lora() -> Case:
    model = keras.Sequential([keras.Input((FEATURES,)), layers.Dense(8, activation="relu"), layers.Dense(1)])
    model.quantize("int8")
    for layer in model.layers:
        layer.enable_lora(rank=2)
    # Keras merges the LoRA weights into the kernel while it saves, and loads zeros for them.
    return case(compiled(model), numbers(FEATURES), targets(), reloads=False)


# Ways of training


@model_noun()
def ema_optimizer() -> Case:
    optimizer = keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.9)
    return case(regression(optimizer=optimizer), numbers(FEATURES), targets())


class ScheduleWithoutConfig(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that halves with every step."""

    def __call__(self, step):
        return 0.1 * 0.5 ** ops.cast(step, "float32")


@model_noun()
def learning_rate_schedule() -> Case:
    schedule = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=10)
    return case(regression(optimizer=keras.optimizers.SGD(schedule)), numbers(FEATURES), targets())


@model_noun()
def learning_rate_schedule_without_config() -> Case:
    optimizer = keras.optimizers.SGD(ScheduleWithoutConfig())
    return case(regression(optimizer=optimizer), numbers(FEATURES), targets(), exports=WEIGHTS_ONLY)


@model_noun()
def unbuilt_until_fit() -> Case:
    model = keras.Sequential([layers.Dense(3, activation="relu"), layers.Dense(1)])
    return case(compiled(model), numbers(FEATURES), targets())


@keras.saving.register_keras_serializable(package="nouns")
class OwnTrainStep(keras.Model):
    """A functional model that trains in its own way."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss, "gradient_norm": tf.linalg.global_norm(gradients)}


@model_noun()
def custom_train_step() -> Case:
    inputs = keras.Input((FEATURES,))
    return case(compiled(OwnTrainStep(inputs, layers.Dense(1)(inputs))), numbers(FEATURES), targets())


@model_noun()
def run_eagerly() -> Case:
    return case(classifier(run_eagerly=True), numbers(FEATURES), labels())


@model_noun()
def steps_per_execution() -> Case:
    return case(classifier(steps_per_execution=2), numbers(FEATURES), labels())


@model_noun()
def jit_compile() -> Case:
    return case(classifier(jit_compile=True), numbers(FEATURES), labels())


def under_strategy(strategy: tf.distribute.Strategy) -> Case:
    """A classifier made in the scope of a distribution strategy."""
    with strategy.scope():
        model = classifier()
    return case(model, numbers(FEATURES), labels())


@model_noun()
def mirrored_one_device() -> Case:
    return under_strategy(tf.distribute.MirroredStrategy(["CPU:0"]))


@model_noun()
def mirrored_two_devices() -> Case:
    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    assert len(devices) == 2, "TensorFlow was in use before this module could split the CPU"
    return under_strategy(tf.distribute.MirroredStrategy(devices))


@model_noun()
def one_device_strategy() -> Case:
    return under_strategy(tf.distribute.OneDeviceStrategy("CPU:0"))


# Kinds of data


def data_case(x: Any, y: Any = None, *, model: keras.Model | None = None, test_data: Any = None, **fit: Any) -> Case:
    """The case that fits a classifier to this data; `fit` holds further arguments."""
    given = {"x": x} if y is None else {"x": x, "y": y}
    test_data = (some(numbers(FEATURES)), some(labels())) if test_data is None else test_data
    return Case(model or classifier(), {**given, "epochs": EPOCHS, "verbose": 0, **fit}, test_data)


def two_inputs() -> keras.Model:
    """A classifier of two vectors."""
    inputs = [keras.Input((FEATURES,), name="left"), keras.Input((2,), name="right")]
    outputs = layers.Dense(CLASSES, activation="softmax")(layers.Concatenate()(inputs))
    return compiled(keras.Model(inputs, outputs), loss="sparse_categorical_crossentropy", metrics=["accuracy"])


@data_noun()
def arrays() -> Case:
    return data_case(numbers(FEATURES), labels(), batch_size=BATCH)


@data_noun()
def dict_of_arrays() -> Case:
    x = {"left": numbers(FEATURES), "right": numbers(2)}
    return data_case(x, labels(), model=two_inputs(), test_data=(some(x), some(labels())), batch_size=BATCH)


@data_noun()
def list_of_arrays() -> Case:
    x = [numbers(FEATURES), numbers(2)]
    return data_case(x, labels(), model=two_inputs(), test_data=(some(x), some(labels())), batch_size=BATCH)


@data_noun(keras_warns=(NOT_SHUFFLED,))
def tf_data_finite() -> Case:
    test_data = dataset(some(numbers(FEATURES)), some(labels()))
    return data_case(dataset(numbers(FEATURES), labels()), test_data=test_data)


@data_noun(keras_warns=(NOT_SHUFFLED,))
def tf_data_infinite() -> Case:
    endless = dataset(numbers(FEATURES), labels()).repeat()
    return data_case(endless, steps_per_epoch=SAMPLES // BATCH)


class Batches(keras.utils.PyDataset):
    """The samples, batch by batch."""

    def __len__(self) -> int:
        return SAMPLES // BATCH

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        batch = slice(index * BATCH, (index + 1) * BATCH)
        return numbers(FEATURES)[batch], labels()[batch]


@data_noun()
def py_dataset() -> Case:
    return data_case(Batches(), test_data=Batches())


def endless_batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The samples, batch by batch, for ever."""
    batches = Batches()
    while True:
        yield from (batches[index] for index in range(len(batches)))


@data_noun(keras_warns=(NOT_SHUFFLED,))
def python_generator() -> Case:
    return data_case(endless_batches(), steps_per_epoch=SAMPLES // BATCH)


@data_noun()
def sample_weights() -> Case:
    model = classifier(weighted_metrics=["accuracy"])
    weights = np.linspace(0.1, 1, SAMPLES, dtype="float32")
    return data_case(numbers(FEATURES), labels(), model=model, sample_weight=weights, batch_size=BATCH)


@data_noun(keras_warns=(NOT_SHUFFLED,))
def sample_weights_in_tf_data() -> Case:
    weights = np.linspace(0.1, 1, SAMPLES, dtype="float32")
    model = classifier(weighted_metrics=["accuracy"])
    return data_case(dataset(numbers(FEATURES), labels(), weights), model=model)


@data_noun()
def class_weights() -> Case:
    return data_case(numbers(FEATURES), labels(), class_weight={0: 1.0, 1: 2.0, 2: 0.5}, batch_size=BATCH)


@data_noun()
def validation_split() -> Case:
    return data_case(numbers(FEATURES), labels(), validation_split=0.25, batch_size=BATCH)


@data_noun()
def validation_data_of_arrays() -> Case:
    validation_data = (numbers(FEATURES), labels())
    return data_case(numbers(FEATURES), labels(), validation_data=validation_data, batch_size=BATCH)


@data_noun(keras_warns=(NOT_SHUFFLED,))
def validation_data_of_tf_data() -> Case:
    validation_data = dataset(numbers(FEATURES), labels())
    return data_case(dataset(numbers(FEATURES), labels()), validation_data=validation_data)


@data_noun()
def no_test_data() -> Case:
    with_test_data = data_case(numbers(FEATURES), labels(), batch_size=BATCH)
    return Case(with_test_data.model, with_test_data.fit_arguments, test_data=None)

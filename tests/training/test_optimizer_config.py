"""What the record says of an optimizer is what the optimizer does."""

import keras
import numpy as np
import pytest

import archiver
from archiver import layout
from archiver.records.base import Unavailable
from archiver.training.optimizers import phase_optimizer
from tests.training import small


def compiled(optimizer, **more):
    model = small.model()
    model.compile(optimizer, loss="sparse_categorical_crossentropy", **more)
    return model


def train(root, optimizer, callbacks=(), epochs=2, model=None, **more):
    model = model or compiled(optimizer, **more)
    x, y = small.arrays()
    archive = archiver.RunArchiver(root, name="a")
    model.fit(x, y, batch_size=16, epochs=epochs, verbose=0, shuffle=False, callbacks=[*callbacks, archive])
    return model, archive


def optimizer_of(archive):
    return archive.run.read(layout.OPTIMIZER_CONFIG).phases[-1]


def test_sgd_by_name(tmp_path):
    model, archive = train(tmp_path, "sgd")
    part = optimizer_of(archive)
    assert (part.class_name, part.name) == ("keras.src.optimizers.sgd.SGD", model.optimizer.name)
    assert part.config == archiver.training.reading.or_reason(model.optimizer.get_config)
    assert part.learning_rate == pytest.approx(0.01)
    assert (part.schedule, part.moving_average, part.loss_scaling, part.iterations) == (None, None, None, 0)
    assert (part.weight_decay, part.gradient_accumulation_steps) == (None, None)
    variables = [variable.numpy() for variable in model.optimizer.variables]
    assert part.variables.count == len(variables)
    assert part.variables.bytes == sum(array.nbytes for array in variables)


def test_a_schedule_and_the_rate_of_each_epoch(tmp_path):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=3, decay_rate=0.5)
    model, archive = train(tmp_path, keras.optimizers.Adam(schedule))
    part = optimizer_of(archive)
    assert part.schedule.class_name.endswith(".ExponentialDecay")
    assert part.schedule.config == schedule.get_config()
    assert part.learning_rate == pytest.approx(0.1)
    assert archive.run.read(layout.HISTORY).phases[0].learning_rates == pytest.approx((0.1 * 0.5, 0.1 * 0.5**2))
    x, y = small.arrays()
    model.fit(x, y, batch_size=16, epochs=1, verbose=0, callbacks=[archive])
    second = optimizer_of(archive)
    assert (second.phase, second.iterations, second.learning_rate) == (1, 6, pytest.approx(0.1 * 0.5**2))
    assert second.variables.count == len(model.optimizer.variables)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of Keras under NumPy 2
def test_a_callback_that_lowers_the_rate_is_seen_in_the_history(tmp_path):
    lowers = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=0, min_delta=100.0)
    model, archive = train(tmp_path, keras.optimizers.SGD(0.08), [lowers], epochs=3)
    rates = archive.run.read(layout.HISTORY).phases[0].learning_rates
    assert rates == pytest.approx((0.08, 0.04, 0.02))
    assert rates[-1] == pytest.approx(float(model.optimizer.learning_rate))


def test_a_function_as_the_rate(tmp_path):
    model = compiled(keras.optimizers.SGD(rate_of_my_own))
    assert phase_optimizer(model, 0).schedule.class_name.endswith("test_optimizer_config.rate_of_my_own")
    assert phase_optimizer(model, 0).learning_rate == pytest.approx(0.25)


def rate_of_my_own():
    return 0.25


def test_averages_clipping_decay_and_accumulation():
    optimizer = keras.optimizers.AdamW(
        weight_decay=0.02, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=5, global_clipnorm=2.0,
        gradient_accumulation_steps=4,
    )  # fmt: skip
    part = phase_optimizer(compiled(optimizer), 0)
    assert part.weight_decay == optimizer.weight_decay == 0.02
    assert (part.moving_average.momentum, part.moving_average.overwrite_frequency) == (0.9, 5)
    assert part.gradient_clipping.model_dump() == {"clipnorm": None, "clipvalue": None, "global_clipnorm": 2.0}
    assert part.gradient_accumulation_steps == 4
    assert isinstance(part.variables, Unavailable), "Keras makes them in the first step"


def test_loss_scaling(tmp_path):
    inner = keras.optimizers.Adam(0.003, clipvalue=0.5)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=64.0, dynamic_growth_steps=3)
    model, archive = train(tmp_path, optimizer)
    part = optimizer_of(archive)
    scaling = part.loss_scaling
    assert scaling.class_name.endswith(".LossScaleOptimizer")
    assert (scaling.initial_scale, scaling.current_scale, scaling.growth_steps) == (64.0, 64.0, 3)
    assert (part.gradient_clipping.clipvalue, part.learning_rate) == (0.5, pytest.approx(0.003))
    assert part.config["inner_optimizer"]["config"]["clipvalue"] == 0.5
    again = phase_optimizer(model, 1).loss_scaling.current_scale
    assert again == float(model.optimizer.dynamic_scale) > 64.0
    assert archive.run.read(layout.HISTORY).phases[0].learning_rates == pytest.approx((0.003, 0.003))


def test_mixed_precision_wraps_the_optimizer(tmp_path):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, dtype="mixed_float16")])
    model.dtype_policy = keras.DTypePolicy("mixed_float16")
    model.compile("sgd", loss="mse")
    x = np.zeros((8, 4), "float32")
    archive = archiver.RunArchiver(tmp_path, name="a")
    model.fit(x, x[:, :2], epochs=1, verbose=0, callbacks=[archive])
    assert optimizer_of(archive).loss_scaling.initial_scale == model.optimizer.initial_scale
    policies = archive.run.read(layout.TRAIN_CONFIG).phases[0].dtype_policies
    assert (policies.model, policies.keras_global, policies.mixed_precision) == ("mixed_float16", "float32", True)
    model.compile("sgd", loss="mse", auto_scale_loss=False)
    model.fit(x, x[:, :2], epochs=1, verbose=0, callbacks=[archive])
    assert optimizer_of(archive).loss_scaling is None
    assert archive.run.read(layout.TRAIN_CONFIG).phases[1].auto_scale_loss is False


class Unspoken(keras.optimizers.SGD):
    def get_config(self):
        raise NotImplementedError("password=hunter2 is not told")


def test_an_optimizer_that_does_not_tell_its_config(tmp_path):
    _, archive = train(tmp_path, Unspoken(0.5))
    part = optimizer_of(archive)
    assert part.config == {"unavailable": "NotImplementedError: password=[redacted] is not told"}
    assert (part.learning_rate, part.iterations) == (0.5, 0)


class Loop(keras.Model):
    """Trains without an optimizer of Keras'."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2)

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        return {"loss": keras.ops.mean(self(data[0]))}


def test_a_model_without_an_optimizer(tmp_path):
    model = Loop()
    model.compile(optimizer=None)
    _, archive = train(tmp_path, None, model=model)
    part = optimizer_of(archive)
    assert (part.class_name, part.config) == (None, None)
    assert part.learning_rate == part.variables == Unavailable(unavailable="the model has no optimizer")

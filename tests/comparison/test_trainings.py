"""Real trainings that differ in one thing: the verdict is right, and the true cause comes first."""

import random

import keras
import numpy as np
import pytest

import archiver
from archiver import compare
from tests.training import small


def train(root, name, *, seed=1, rate=0.01, batch_size=16, epochs=2, tweak=0.0, units=8, draws=0, data_seed=None):
    archiver.seed(seed)
    for _ in range(draws):
        random.random()
    x, y = small.arrays()
    x[3, 2] += np.float32(tweak)
    layers = [keras.layers.Dense(units, "relu"), keras.layers.Dropout(0.2), keras.layers.Dense(2, "softmax")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    archive = archiver.RunArchiver(root, name=name, figures=False)
    data = (x, y)
    if data_seed is not None:
        data = (archiver.data.array_batches(x, y, batch_size=batch_size, seed=data_seed),)
    options = {"shuffle": False} if data_seed is not None else {"batch_size": batch_size}
    model.fit(*data, validation_data=small.arrays(16, 1), epochs=epochs, verbose=0, callbacks=[archive], **options)
    archive.finalize(test_data=small.arrays(24, 2))
    return archive.run


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def first(root):
    return train(root, "first")


def test_the_same_again_is_identical(root, first):
    found = compare(first, train(root, "again"))
    assert found.verdict.outcome == "identical", found.verdict
    assert found.causes == ()
    assert "predictions on the test data" in found.verdict.compared


@pytest.mark.parametrize(
    ("changes", "subject", "start"),
    [
        ({"seed": 2}, "seed", "other"),
        ({"rate": 0.02}, "optimizer.learning_rate", "same"),
        ({"batch_size": 8}, "batch_size", "same"),
        ({"epochs": 3}, "epochs", "same"),
        ({"tweak": 0.5}, "train data", "same"),
        ({"units": 9}, "layer 1.units", "other"),
        ({"draws": 1}, "states of the random generators", "other"),
    ],
    ids=lambda value: str(value),
)
def test_one_change_is_the_first_cause(root, first, changes, subject, start):
    found = compare(first, train(root, "changed", **changes))
    assert found.verdict.outcome == "diverged"
    assert found.causes[0].subject == subject
    assert found.verdict.initial_weights == start
    epoch, step = found.verdict.first_epoch, found.verdict.first_step
    if "epochs" in changes:
        assert (epoch.epoch, epoch.before, step) == (2, None, None)
        return
    assert epoch.epoch == 0
    assert (step.epoch, step.is_exact) == (0, True)
    assert bool(found.effects.weights.only_before) == ("units" in changes)
    assert ("units" in changes) or found.effects.weights.is_complete


def test_the_seed_of_the_data_is_a_seed(root):
    one, other = train(root, "ordered", data_seed=1), train(root, "ordered", data_seed=2)
    found = compare(one, other)
    assert found.causes[0].kind == "seeds", found.causes
    assert found.causes[0].subject.endswith("seed")
    assert found.verdict.initial_weights == "same"
    assert found.verdict.outcome == "diverged"

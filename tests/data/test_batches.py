import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import archiver
from archiver.data.batches import ArrayBatches, epoch_order
from tests.training import small


@given(st.integers(1, 500), st.integers(0, 2**31), st.integers(0, 1000))
def test_an_order_is_a_permutation_that_depends_on_seed_and_epoch_alone(count, seed, epoch):
    order = epoch_order(count, seed, epoch)
    assert sorted(order) == list(range(count))
    assert np.array_equal(order, epoch_order(count, seed, epoch))


def test_epochs_and_seeds_differ():
    orders = [tuple(epoch_order(100, seed, epoch)) for seed in (1, 2) for epoch in (0, 1, 2)]
    assert len(set(orders)) == 6


def seen(dataset):
    return [[int(value) for value in batch[1]] for batch in dataset]


def test_every_pass_is_the_order_of_its_epoch():
    x, y = np.arange(10.0), np.arange(10)
    dataset = archiver.data.array_batches(x, y, batch_size=4, seed=5)
    assert isinstance(dataset, tf.data.Dataset)
    assert len(dataset) == 3
    for epoch in range(3):
        order = epoch_order(10, 5, epoch).tolist()
        assert seen(dataset) == [order[:4], order[4:8], order[8:]]


@settings(deadline=None, max_examples=25)
@given(count=st.integers(1, 40), size=st.integers(1, 12), drop=st.booleans(), shuffle=st.booleans())
def test_all_samples_once_in_both_forms(count, size, drop, shuffle):
    x = {"a": np.arange(count), "b": np.arange(count * 2).reshape(count, 2)}
    arguments = {"batch_size": size, "seed": 1, "shuffle": shuffle, "drop_remainder": drop}
    dataset = archiver.data.array_batches(x, np.arange(count), np.ones(count), **arguments)
    batches = ArrayBatches(dataset.archiver_source, count, drop)
    from_tf = [[int(value) for value in batch[1]] for batch in dataset]
    from_keras = [batches[index][1].tolist() for index in range(len(batches))]
    assert from_tf == from_keras
    kept = count // size * size if drop else count
    assert len([value for batch in from_tf for value in batch]) == kept
    if not drop:
        assert sorted(value for batch in from_tf for value in batch) == list(range(count))


def test_inputs_stay_together():
    x = np.arange(30).reshape(10, 3)
    for batch_x, batch_y, weight in archiver.data.array_batches(x, x[:, 0], x[:, 1], batch_size=3, seed=1):
        assert np.array_equal(batch_x[:, 0], batch_y)
        assert np.array_equal(batch_x[:, 1], weight)


def test_x_alone():
    (batch,) = archiver.data.array_batches(np.arange(4), batch_size=4, shuffle=False)
    assert batch.numpy().tolist() == [0, 1, 2, 3]


def test_fit_sees_each_epoch_in_another_order_and_the_same_again(tmp_path):
    class Spy(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.losses = []

        def on_train_batch_end(self, batch, logs=None):
            self.losses.append(logs["loss"])

    def train():
        keras.utils.set_random_seed(1)
        spy = Spy()
        x, y = small.arrays()
        data = archiver.data.array_batches(x, y, batch_size=8, seed=9)
        small.model().fit(data, epochs=3, shuffle=False, verbose=0, callbacks=[spy])
        return spy.losses

    assert train() == train()


REPEATED = """
import keras, numpy as np, sys
import archiver
archiver.seed(1)
order = []
class Spy(keras.layers.Layer):
    def call(self, x):
        import tensorflow as tf
        tf.py_function(lambda value: order.extend(value.numpy().ravel().tolist()), [x], [])
        return x
model = keras.Sequential([keras.layers.Input((1,)), Spy(), keras.layers.Dense(1)])
model.compile("sgd", loss="mse", run_eagerly=True)
x = np.arange(16, dtype="float32")[:, None]
model.fit(x, x, epochs=2, batch_size=16, verbose=0, callbacks=[archiver.RunArchiver(sys.argv[1], name="a")])
print("SAME" if order[:16] == order[16:32] else "DIFFERENT", order)
"""


def test_what_we_say_of_keras_own_shuffling_is_true(tmp_path):
    """Seeded, Keras on TensorFlow repeats one permutation; we say so once."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(
        [sys.executable, "-c", REPEATED, str(tmp_path)], capture_output=True, text=True, check=True, env=environment
    )
    assert result.stdout.startswith("SAME")
    assert result.stderr.count("same permutation in every epoch") == 1


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_archive_knows_the_arrays_behind_it(tmp_path, shuffle):
    x, y = small.arrays()
    data = archiver.data.array_batches(x, y, batch_size=8, seed=4, shuffle=shuffle)
    archive = archiver.RunArchiver(tmp_path, name="a")
    small.model().fit(data, epochs=1, shuffle=False, verbose=0, callbacks=[archive])
    split = archive.run.read(archiver.layout.DATASET_STATS).splits["train"]
    assert (split.kind, split.sample_count) == ("array_batches", len(x))
    assert split.class_counts == {str(label): int((y == label).sum()) for label in (0, 1)}
    import hashlib

    assert [array.sha256 for array in split.arrays] == [hashlib.sha256(each.tobytes()).hexdigest() for each in (x, y)]

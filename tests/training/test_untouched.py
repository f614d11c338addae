"""Training with the callback is the training without it, bit for bit."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

import archiver
from archiver.training.weights import weights_digest
from tests.training import small


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return 6

    def __getitem__(self, index):
        noise = np.random.normal(size=(8, 4)).astype("float32")
        return self.x[index * 8 : index * 8 + 8] + noise, self.y[index * 8 : index * 8 + 8]


def arrays(x, y):
    return {"x": x, "y": y, "batch_size": 8, "shuffle": True}


def batches(x, y):
    return {"x": archiver.data.array_batches(x, y, batch_size=8, seed=3), "shuffle": False}


def tf_data(x, y):
    return {"x": tf.data.Dataset.from_tensor_slices((x, y)).shuffle(48, seed=5).batch(8), "shuffle": False}


def py_dataset(x, y):
    return {"x": Batches(x, y)}


def train(make_data, callbacks):
    keras.utils.set_random_seed(7)
    model = small.model()
    x, y = small.arrays()
    history = model.fit(
        **make_data(x, y), validation_data=small.arrays(16, 1), epochs=3, verbose=0, callbacks=callbacks
    )
    state = (random.getstate(), np.random.get_state()[1].tolist(), np.random.get_state()[2])
    return history.history, weights_digest(model.weights), state


@pytest.mark.parametrize("make_data", [arrays, batches, tf_data, py_dataset], ids=lambda function: function.__name__)
def test_history_weights_and_random_states_are_the_same(make_data, tmp_path):
    plain = train(make_data, [])
    archived = train(make_data, [archiver.RunArchiver(tmp_path, name="a")])
    assert archived[0] == plain[0]
    assert archived[1] == plain[1]
    assert archived[2] == plain[2]
    assert archiver.verify(tmp_path / "a_models", deep=True).is_whole


def test_the_seed_of_the_check_matters(tmp_path):
    """Another order of the data gives another history: the comparison above can fail."""
    one = train(lambda x, y: {"x": archiver.data.array_batches(x, y, batch_size=8, seed=3), "shuffle": False}, [])
    two = train(lambda x, y: {"x": archiver.data.array_batches(x, y, batch_size=8, seed=4), "shuffle": False}, [])
    assert one[0] != two[0]


def test_other_callbacks_see_what_they_would_see_without(tmp_path):
    def run(extra):
        seen = []
        spy = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: seen.append((epoch, dict(logs))),
            on_train_batch_end=lambda batch, logs: seen.append((batch, dict(logs))),
        )
        stopping = keras.callbacks.EarlyStopping(patience=0, restore_best_weights=True)
        train(arrays, [*extra, spy, stopping])
        return seen, stopping.stopped_epoch

    assert run([archiver.RunArchiver(tmp_path, name="a")]) == run([])

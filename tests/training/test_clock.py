"""Seconds, steps and samples of real trainings, against a spy that holds its own clock."""

import math
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import archiver
from archiver import layout
from archiver.records.base import Unavailable
from tests.training import small

NAP_SECONDS = 0.05


def model(**arguments):
    made = small.model()
    made.compile("sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"], **arguments)
    return made


def records(archive):
    run = archive.run
    assert archiver.verify(run.path).findings == ()
    results = run.read(layout.RESULTS)
    return run.read(layout.HISTORY).phases[-1], results, results.timing.phases[-1]


class Naps(keras.callbacks.Callback):
    """Stands behind the archive: sleeps inside of every phase of an epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        time.sleep(NAP_SECONDS)

    def on_test_batch_begin(self, batch, logs=None):
        time.sleep(NAP_SECONDS)

    def on_epoch_end(self, epoch, logs=None):
        time.sleep(NAP_SECONDS)


@pytest.fixture(scope="module")
def napped(tmp_path_factory):
    archive = archiver.RunArchiver(tmp_path_factory.mktemp("runs"), name="a")
    x, y = small.arrays(50)
    began = time.perf_counter()
    model().fit(x, y, batch_size=8, epochs=4, validation_data=(x, y), validation_batch_size=25, validation_freq=2,
                verbose=0, callbacks=[archive, Naps()])  # fmt: skip
    return archive, time.perf_counter() - began


def test_where_the_time_of_an_epoch_goes(napped):
    history, _, _ = records(napped[0])
    assert history.step_counts == (7,) * 4
    assert [value is None for value in history.validation_seconds] == [True, False, True, False]
    for index in range(4):
        total, train, first = (
            history.epoch_seconds[index], history.train_seconds[index], history.first_step_seconds[index],
        )  # fmt: skip
        validation = history.validation_seconds[index] or 0.0
        assert NAP_SECONDS < first < train
        assert history.median_step_seconds[index] * 3 < train - first
        assert validation == 0.0 or validation > 2 * NAP_SECONDS
        assert total > train + validation + NAP_SECONDS


@pytest.mark.parametrize("drop_remainder", [False, True])
def test_samples_of_array_batches(tmp_path, drop_remainder):
    archive = archiver.RunArchiver(tmp_path, name="a")
    x, y = small.arrays(50)
    data = archiver.data.array_batches(x, y, batch_size=8, seed=0, drop_remainder=drop_remainder)
    model().fit(data, epochs=2, shuffle=False, verbose=0, callbacks=[archive])
    assert records(archive)[2].sample_count == 2 * (48 if drop_remainder else 50)


def test_the_parts_make_the_whole(napped):
    archive, seconds = napped
    _, results, phase = records(archive)
    assert phase.total_seconds < seconds
    parts = (phase.collecting_seconds, phase.train_seconds, phase.validation_seconds, phase.other_epoch_seconds,
             phase.saving_seconds)  # fmt: skip
    assert 0.8 * phase.total_seconds < sum(parts) <= phase.total_seconds + 0.01
    assert results.training_seconds == results.timing.whole_run.total_seconds == phase.total_seconds
    assert phase.sample_count == 4 * 50
    assert phase.steps_per_second == 28 / phase.train_seconds
    assert phase.compile_seconds == phase.first_step_seconds - phase.median_step_seconds > 0
    assert "archiver.fit" in phase.preparation_seconds.unavailable


def test_times_in_utc_are_in_order(napped):
    _, results, phase = records(napped[0])
    assert results.started <= phase.started < phase.training_began < phase.ended <= results.ended
    assert phase.local_offset_seconds == napped[0].run.read(layout.RUN).local_offset_seconds
    assert (phase.training_began - phase.started).total_seconds() == pytest.approx(phase.collecting_seconds, abs=0.1)


def test_sealing_and_evaluating_are_timed(napped, tmp_path):
    archive = archiver.RunArchiver(tmp_path, name="a")
    x, y = small.arrays()
    model().fit(x, y, epochs=1, verbose=0, callbacks=[archive])
    first = archive.run.read(layout.METADATA).sealing_seconds
    assert 0 < first < 5
    begin = time.perf_counter()
    archive.finalize(test_data=(x, y))
    timing = records(archive)[1].timing
    assert 0 < timing.testing_seconds < time.perf_counter() - begin
    (unsealed,) = [event for event in archive.run.journal.read().events if event.event == "unsealed"]
    assert unsealed.details["sealing_seconds"] == first


@pytest.mark.parametrize("steps_per_execution", [1, 2, 5])
def test_steps_in_several_executions_are_counted_right(tmp_path, steps_per_execution):
    archive = archiver.RunArchiver(tmp_path, name="a")
    x, y = small.arrays(50)
    made = model(steps_per_execution=steps_per_execution)
    made.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[archive])
    history, _, phase = records(archive)
    assert history.step_counts == (7, 7)
    assert made.optimizer.iterations == phase.step_count == 14
    assert phase.sample_count == 100


def test_steps_per_epoch_and_data_without_a_known_batch_size(tmp_path):
    archive = archiver.RunArchiver(tmp_path, name="a")
    data = tf.data.Dataset.from_tensor_slices(small.arrays()).repeat().batch(8)
    model().fit(data, steps_per_epoch=5, epochs=3, shuffle=False, verbose=0, callbacks=[archive])
    history, _, phase = records(archive)
    assert history.step_counts == (5, 5, 5)
    assert phase.sample_count == phase.samples_per_second == Unavailable(unavailable=phase.sample_count.unavailable)
    assert "batch size" in phase.sample_count.unavailable


def test_a_data_set_of_batches_of_one_size(tmp_path):
    archive = archiver.RunArchiver(tmp_path, name="a")
    data = tf.data.Dataset.from_tensor_slices(small.arrays(50)).batch(8, drop_remainder=True)
    model().fit(data, epochs=2, shuffle=False, verbose=0, callbacks=[archive])
    assert records(archive)[2].sample_count == 2 * 48


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        x, y = small.arrays(8, index)
        return x, y


def generated():
    for index in range(12):
        yield small.arrays(8, index)


@pytest.mark.parametrize("data", [lambda: Batches(), generated], ids=["pydataset", "generator"])
def test_data_that_do_not_tell_their_batch_size(data, tmp_path):
    archive = archiver.RunArchiver(tmp_path, name="a")
    model().fit(data(), epochs=2, steps_per_epoch=6, shuffle=False, verbose=0, callbacks=[archive])
    history, _, phase = records(archive)
    assert history.step_counts == (6, 6)
    assert [event for event in archive.run.journal.read().events if event.event == "step_failed"] == []
    assert phase.sample_count == 96 or "batch size" in phase.sample_count.unavailable


def test_archiver_fit_knows_when_fit_began(tmp_path):
    archive = archiver.RunArchiver(tmp_path, name="a")
    x, y = small.arrays()
    made = model()
    begin = time.perf_counter()
    archiver.fit(archive, made, x, y, epochs=1, verbose=0)
    assert 0 < records(archive)[2].preparation_seconds < time.perf_counter() - begin
    made.fit(x, y, epochs=1, verbose=0, callbacks=[archive])
    assert isinstance(records(archive)[2].preparation_seconds, Unavailable), "each phase has its own"


def test_a_loop_of_the_user_s_own_that_reports_no_steps(tmp_path):
    archive = archiver.RunArchiver(tmp_path, name="a")
    made = model()
    callbacks = keras.callbacks.CallbackList([archive], model=made)
    x, y = small.arrays()
    callbacks.on_train_begin()
    for epoch in range(2):
        callbacks.on_epoch_begin(epoch)
        callbacks.on_epoch_end(epoch, {"loss": float(made.train_on_batch(x, y)[0])})
    callbacks.on_train_end()
    history, _, phase = records(archive)
    assert history.step_counts == history.train_seconds == (None, None)
    assert isinstance(phase.steps_per_second, Unavailable)
    assert phase.median_epoch_seconds > 0


def test_steps_whose_loss_is_no_number_count(tmp_path):
    archive = archiver.RunArchiver(tmp_path, name="a")
    made = model()
    callbacks = keras.callbacks.CallbackList([archive], model=made)
    x, y = small.arrays()
    made.train_on_batch(x, y)
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(0)
    for step in range(4):
        callbacks.on_train_batch_end(step, {"loss": None})
    callbacks.on_epoch_end(0, {"loss": 1.0})
    callbacks.on_train_end()
    history, _, _ = records(archive)
    assert history.step_counts == (4,)
    rows = archive.run.path_of(layout.STEPS).read_text().splitlines()[1:]
    assert [math.isnan(float(row.rpartition(",")[2])) for row in rows] == [True] * 4


@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping(tmp_path, restore):
    archive = archiver.RunArchiver(tmp_path, name="a")
    worse = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(val_loss=abs(epoch - 1.0)))
    stopping = keras.callbacks.EarlyStopping(patience=2, min_delta=0.25, restore_best_weights=restore)
    x, y = small.arrays()
    model().fit(x, y, validation_data=(x, y), epochs=9, verbose=0, callbacks=[worse, archive, stopping])
    history, results, _ = records(archive)
    assert history.stop_reason == "early_stopping"
    found = history.early_stopping
    assert found == results.convergence.early_stopping
    assert (found.monitor, found.stopped_epoch, found.best_epoch, found.best_value) == ("val_loss", 3, 1, 0.0)
    assert found.restored_epoch == (1 if restore else None)
    assert (found.patience, found.min_delta) == (2, 0.25)


def test_early_stopping_that_did_nothing_and_one_that_restores_all_the_same(tmp_path):
    x, y = small.arrays()
    for name, restore in (("a", False), ("b", True)):
        archive = archiver.RunArchiver(tmp_path, name=name)
        stopping = keras.callbacks.EarlyStopping("loss", patience=50, restore_best_weights=restore)
        history = model().fit(x, y, epochs=2, verbose=0, callbacks=[archive, stopping]).history["loss"]
        found = records(archive)[0].early_stopping
        assert (found is not None) == restore
        if found is not None:
            assert (found.stopped_epoch, found.restored_epoch) == (None, int(np.argmin(history)))


def test_directions_are_those_keras_knows(tmp_path):
    archive = archiver.RunArchiver(tmp_path, name="a")
    made = small.model()
    metrics = [keras.metrics.TopKCategoricalAccuracy(name="top"), keras.metrics.CosineSimilarity(name="likeness")]
    made.compile("sgd", loss="categorical_crossentropy", metrics=metrics)
    x, y = small.arrays()
    odd = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(oddity=1.0))
    made.fit(x, np.eye(2)[y], validation_data=(x, np.eye(2)[y]), validation_freq=2, epochs=2, verbose=0,
             callbacks=[odd, archive])  # fmt: skip
    history, results, _ = records(archive)
    expected = {
        "loss": "min", "top": "max", "likeness": "max", "oddity": "unknown",
        "val_loss": "min", "val_top": "max", "val_likeness": "max",
    }  # fmt: skip
    assert history.directions == expected
    assert {name: each.direction for name, each in results.performance.items()} == expected

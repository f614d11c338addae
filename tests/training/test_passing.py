"""Batches that only Python sees: counted exactly, described truly, handed on untouched, and let go."""

import contextlib
import gc
import itertools
import os
import warnings
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

import archiver
from archiver import layout
from archiver.records.base import Unavailable
from archiver.storage.journal import events_named
from archiver.training import passing
from archiver.training.weights import weights_digest
from tests.training import small


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, size=8, **kwargs):
        super().__init__(**kwargs)
        self.x, self.y, self.size = x, y, size
        self.password = "hunter2"

    def __len__(self):
        return -(-len(self.x) // self.size)

    def __getitem__(self, index):
        rows = slice(index * self.size, (index + 1) * self.size)
        return self.x[rows], self.y[rows]


def fit(tmp_path, data, validation=None, name="a", **options):
    archive = archiver.RunArchiver(tmp_path, name=name)
    options = {"epochs": 3, "shuffle": False} | options
    small.model().fit(data, validation_data=validation, verbose=0, callbacks=[archive], **options)
    return archive.run.read(layout.DATASET_STATS).splits


def numbers(part):
    return part.minimum, part.maximum, part.mean, part.standard_deviation, part.missing, part.infinite


def test_a_py_dataset_is_counted_and_described_as_numpy_would(tmp_path, monkeypatch):
    monkeypatch.setattr(passing, "BUDGET_SHARE", 1e9)
    (x, y), (x_val, y_val) = small.arrays(44), small.arrays(20, 1)
    x[3, 1], x[5, 2] = np.nan, np.inf
    splits = fit(tmp_path, Batches(x, y), Batches(x_val, y_val))
    train, batches = splits["train"], splits["train"].batches
    assert (train.sample_count, train.batch_count) == (44, 6)
    assert [(each.pass_count, each.batch_count, each.sample_count) for each in batches.passes] == [(3, 6, 44)]
    assert (batches.batch_count, batches.sample_count) == (18, 132)
    assert (batches.described_batch_count, batches.described_sample_count) == (18, 132)
    assert batches.batch_sizes == {"8": 15, "4": 3}
    assert batches.batch_shapes == {"x": ((8, 4), (4, 4)), "y": ((8,), (4,))}
    finite = x[np.isfinite(x)].astype("float64")
    part = batches.arrays[0]
    assert (part.name, part.shape, part.dtype) == ("x", (None, 4), "float32")
    assert (part.missing, part.infinite, part.maximum) == (3, 3, np.inf)
    assert part.mean == pytest.approx(finite.mean(), rel=1e-12)
    assert part.standard_deviation == pytest.approx(finite.std(), rel=1e-12)
    assert isinstance(part.sha256, Unavailable)
    assert batches.classes["y"].counts == {"0": 3 * int((y == 0).sum()), "1": 3 * int((y == 1).sum())}
    validation = splits["validation"]
    assert validation.sample_count == 20
    assert validation.batches.sample_count == 60
    assert validation.batches.arrays[0].mean == pytest.approx(x_val.astype("float64").mean(), rel=1e-12)


def test_what_a_py_dataset_shows_of_itself(tmp_path):
    x, y = small.arrays()
    loader = fit(tmp_path, Batches(x, y))["train"].loader
    assert (loader.workers, loader.use_multiprocessing, loader.max_queue_size) == (1, False, 10)
    assert loader.attributes["x"] == {"array": {"shape": [48, 4], "dtype": "float32"}}
    assert loader.attributes["size"] == 8
    assert "hunter2" not in str(loader)


PROCESSES = pytest.param(
    {"workers": 2, "use_multiprocessing": True},
    marks=pytest.mark.skipif(
        os.environ.get("ARCHIVER_STRESS") != "1", reason="the fork of a process with threads hangs now and then"
    ),
)


@pytest.mark.parametrize("options", [{"workers": 3}, PROCESSES], ids=str)
def test_workers(options, tmp_path):
    x, y = small.arrays(44)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking a process that has threads
        train = fit(tmp_path, Batches(x, y, **options), epochs=2)["train"]
    assert train.sample_count == 44
    assert [(each.pass_count, each.batch_count, each.sample_count) for each in train.batches.passes] == [(2, 6, 44)]
    assert train.batches.described_batch_count >= 1


def named_generator(x, y):
    while True:
        yield x, y


def test_a_generator(tmp_path, monkeypatch):
    monkeypatch.setattr(passing, "BUDGET_SHARE", 1e9)
    x, y = small.arrays(8)
    train = fit(tmp_path, named_generator(x, y), steps_per_epoch=4, epochs=2)["train"]
    assert isinstance(train.sample_count, Unavailable), "nobody can know"
    assert train.loader.function == "named_generator"
    assert train.batches.batch_count >= 8, "TensorFlow reads ahead"
    assert train.batches.sample_count == 8 * train.batches.batch_count
    assert train.batches.arrays[0].mean == pytest.approx(x.astype("float64").mean(), rel=1e-12)


def test_tf_data_stays_inside(tmp_path):
    train = fit(tmp_path, tf.data.Dataset.from_tensor_slices(small.arrays()).batch(8))["train"]
    assert "data=" in train.batches.unavailable


class Noisy(Batches):
    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return x + np.random.normal(size=x.shape).astype("float32"), y


def test_training_is_the_same_bit_for_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(passing, "BUDGET_SHARE", 1e9)

    def train(data, callbacks, **options):
        keras.utils.set_random_seed(7)
        model = small.model()
        history = model.fit(data, epochs=3, verbose=0, callbacks=callbacks, **options)
        return history.history, weights_digest(model.weights), np.random.get_state()[1].tolist()

    x, y = small.arrays()
    for make, options in (
        (lambda: Noisy(x, y), {"validation_data": Noisy(x[:16] + 1, y[:16]), "class_weight": {0: 1.0, 1: 2.0}}),
        (
            lambda: ((x[i : i + 8], y[i : i + 8]) for _ in range(3) for i in range(0, 48, 8)),
            {"steps_per_epoch": 6, "shuffle": False},
        ),
    ):
        assert train(make(), [archiver.RunArchiver(tmp_path, name="a")], **options) == train(make(), [], **options)


def test_only_as_many_are_described_as_the_time_allows(tmp_path, monkeypatch):
    monkeypatch.setattr(passing, "BUDGET_SHARE", 0)
    x, y = small.arrays()
    batches = fit(tmp_path, Batches(x, y))["train"].batches
    assert (batches.batch_count, batches.described_batch_count, batches.described_sample_count) == (18, 1, 8)


def test_the_budget_holds(monkeypatch):
    """Fast batches, of which describing takes about as long as making them."""
    clock = itertools.count(0.0, 0.001).__next__
    monkeypatch.setattr(passing.time, "perf_counter", clock)
    observer = passing.BatchObserver(passing.Budget())
    batch = small.arrays(8)
    for _ in range(20_000):
        clock(), clock()
        observer.see(batch)
    observer.stop()
    part = observer.part()
    assert part.batch_count == 20_000
    # each look reads the clock three times, which this clock counts as its cost: counting alone is over the budget
    assert part.described_batch_count == 1


def test_an_observer_that_breaks_is_named_once_and_looks_no_more(tmp_path):
    class Changing(Batches):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return x.astype("float64") if index == 3 else x, y

    x, y = small.arrays()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        patch.setattr(passing, "BUDGET_SHARE", 1e9)
        batches = fit(tmp_path, Changing(x, y), name="b")["train"].batches
    assert "TypeError" in batches.unavailable
    assert len([each for each in caught if "batches" in str(each.message)]) == 1
    run = archiver.Run.open(tmp_path / "b_models")
    assert [event.details["step"] for event in events_named(run.journal.read(), "step_failed")] == ["batches"]
    assert run.status.status == "complete"


def test_nothing_is_left_on_the_adapter(tmp_path):
    adapters = []

    class Spy(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            adapters.append(archives[0]._session.passing._wrapped[0][0]())

    x, y = small.arrays()
    archives = [archiver.RunArchiver(tmp_path, name=name) for name in "ab"]
    small.model().fit(Batches(x, y), epochs=1, verbose=0, callbacks=[*archives, Spy()])
    assert not [name for name in vars(adapters[0]) if name.endswith("generator")]
    counts = [each.run.read(layout.DATASET_STATS).splits["train"].batches.batch_count for each in archives]
    assert counts == [6, 6], "both archives see all"


@pytest.mark.parametrize("fails", [False, True])
def test_data_does_not_outlive_fit(fails, tmp_path):
    """TensorFlow itself never lets go of a PyDataset or a generator, but of arrays it does."""

    class Failing(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if fails:
                raise RuntimeError("planted")

    def run():
        x, y = small.arrays()
        archive = archiver.RunArchiver(tmp_path, name="a")
        with contextlib.suppress(RuntimeError):
            small.model().fit(x, y, epochs=1, verbose=0, validation_data=(x + 1, y), callbacks=[archive, Failing()])
        for job in archive._session.jobs:
            job.task.is_done(None)
        return archive, weakref.ref(x)

    archive, x = run()
    gc.collect()
    assert archive.run is not None
    assert x() is None

"""The record of the data of real trainings: leaks, phases, tf.data, several targets."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import archiver
from archiver import layout
from archiver.errors import ArchiverWarning
from archiver.records.base import Unavailable
from archiver.storage.journal import events_named
from archiver.training.datasets import describe_split
from tests.training import small


def stats_of(archive):
    return archive.run.read(layout.DATASET_STATS)


def told(caught):
    return [str(each.message) for each in caught if issubclass(each.category, ArchiverWarning)]


def test_a_leak_is_found_told_once_and_recorded(tmp_path):
    x, y = small.arrays()
    x_val, y_val = small.arrays(16, 1)
    x_val[5], y_val[5] = x[7], 1 - y[7]
    test = (np.concatenate([small.arrays(10, 2)[0], x_val[:3]]), np.zeros(13, int))
    archive = archiver.RunArchiver(tmp_path, name="a")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quiet = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: told(caught) == [] or pytest.fail("too early"))
        small.model().fit(
            x, y, validation_data=(x_val, y_val), epochs=2, batch_size=8, verbose=0, callbacks=[archive, quiet]
        )
        (message,) = told(caught)
        run = archive.finalize(test_data=test)
        seal = run.seal_id
        assert archive.finalize(test_data=test).seal_id == seal, "telling again would be a change"
    assert "1 of 16 validation samples also stand in the training data, 1 of them with other targets" in message
    assert "validation[5] is train[7]" in message
    assert len(told(caught)) == 2
    assert "3 of 13 test samples also stand in the validation data" in told(caught)[1]
    between = stats_of(archive).duplicates.between
    assert between["train"]["validation"].first_pairs == ((7, 5),)
    assert between["train"]["test"].count == 0
    assert between["validation"]["test"].first_pairs == ((0, 10), (1, 11), (2, 12))
    messages = [event.details["message"] for event in events_named(run.journal.read(), "warning")]
    assert messages == told(caught)
    assert archiver.verify(run.path, deep=True).is_whole


@pytest.mark.parametrize("way", ["validation_split", "array_batches"])
def test_a_leak_is_found_in_whatever_way_arrays_are_given(way, tmp_path):
    x, y = small.arrays()
    x[47], y[47] = x[0], y[0]
    archive = archiver.RunArchiver(tmp_path, name="a")
    if way == "validation_split":
        data, options = (x, y), {"validation_split": 0.25, "batch_size": 6}
    else:
        batches = archiver.data.array_batches(x[:36], y[:36], batch_size=6, seed=1)
        data, options = (batches,), {"validation_data": (x[36:], y[36:]), "validation_batch_size": 6, "shuffle": False}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        small.model().fit(*data, **options, epochs=1, verbose=0, callbacks=[archive])
    assert "1 of 12 validation samples" in " ".join(told(caught))
    stats = stats_of(archive)
    assert stats.duplicates.between["train"]["validation"].first_pairs == ((0, 11),)
    assert (stats.total_sample_count, stats.ratios) == (48, {"train": 0.75, "validation": 0.25})
    assert [split.batch_size for split in stats.splits.values()] == [6, 6]


def test_splits_of_later_phases_bear_the_phase_s_number(tmp_path):
    x, y = small.arrays()
    validation, model, archive = small.arrays(16, 1), small.model(), archiver.RunArchiver(tmp_path, name="a")
    model.fit(x, y, validation_data=validation, epochs=1, verbose=0, callbacks=[archive])
    model.fit(x, y, validation_data=validation, epochs=1, batch_size=8, verbose=0, callbacks=[archive])
    x *= 2
    model.fit(x, y, epochs=1, verbose=0, callbacks=[archive])
    stats = stats_of(archive)
    assert list(stats.splits) == ["train", "validation", "train_phase_1", "validation_phase_1", "train_phase_2"]
    again = stats.splits["train_phase_1"]
    assert (again.same_as, again.sample_count, again.batch_size) == ("train", 48, 8)
    assert isinstance(again.arrays, Unavailable)
    assert stats.splits["validation_phase_1"].same_as == "validation"
    changed = stats.splits["train_phase_2"]
    assert changed.same_as is None, "the same array, but its content was changed in between"
    assert changed.arrays[0].maximum == x.max()
    assert (stats.total_sample_count, set(stats.ratios)) == (112, {"train", "validation", "train_phase_2"})
    assert set(stats.duplicates.within) == {"train", "validation", "train_phase_2"}
    assert set(stats.duplicates.between) == {"train"}


def test_several_targets(tmp_path):
    x, y = small.arrays()
    inputs = keras.Input((4,))
    outputs = {"a": keras.layers.Dense(2, "softmax", name="a")(inputs), "b": keras.layers.Dense(1, name="b")(inputs)}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss={"a": "sparse_categorical_crossentropy", "b": "mse"})
    archive = archiver.RunArchiver(tmp_path, name="a")
    model.fit(x, {"a": y, "b": x[:, 0]}, epochs=1, verbose=0, callbacks=[archive])
    train = stats_of(archive).splits["train"]
    assert train.classes["y/a"].counts == {"0": int((y == 0).sum()), "1": int((y == 1).sum())}
    assert isinstance(train.classes["y/b"], Unavailable)
    assert isinstance(train.class_counts, Unavailable)


def double(x, y):
    return x * 2, y


def test_a_pipeline_is_told_without_running_it():
    drawn = []

    def source():
        drawn.append(1)
        yield 1

    x, y = small.arrays()
    options = tf.data.Options()
    options.deterministic = False
    options.threading.private_threadpool_size = 2
    options.autotune.enabled = True
    options.experimental_optimization.map_fusion = True
    options.experimental_slack = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    dataset = (
        tf.data.Dataset.from_tensor_slices(({"a": x}, y))
        .cache()
        .shuffle(48, seed=5, reshuffle_each_iteration=False)
        .map(lambda x, y: (x["a"], y))
        .map(double, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .repeat(2)
        .batch(8, drop_remainder=True)
        .prefetch(3)
        .with_options(options)
    )
    split = describe_split(dataset).part
    pipeline = split.pipeline
    assert (split.batch_count, split.batch_size, pipeline.cardinality) == (12, 8, 12)
    assert pipeline.element_spec == [
        {"type": "TensorSpec", "shape": [8, 4], "dtype": "float32"},
        {"type": "TensorSpec", "shape": [8], "dtype": "int64"},
    ]
    assert pipeline.options == {
        "autotune": {"enabled": True}, "deterministic": False, "experimental_slack": True,
        "experimental_distribute": {"auto_shard_policy": "DATA"},
        "experimental_optimization": {"map_fusion": True}, "threading": {"private_threadpool_size": 2},
    }  # fmt: skip
    settings = {each.operation.strip("_"): each.settings for each in pipeline.operations}
    assert settings["PrefetchDataset"] == {"buffer_size": 3}
    assert settings["BatchDataset"] == {"batch_size": 8, "drop_remainder": True}
    assert settings["RepeatDataset"] == {"count": 2}
    assert settings["ShuffleDataset"]["buffer_size"] == 48
    assert settings["ShuffleDataset"]["reshuffle_each_iteration"] is False
    assert settings["ShuffleDataset"]["seed2"] == 5
    assert settings["ParallelMapDataset"]["num_parallel_calls"] == "autotune"
    assert settings["ParallelMapDataset"]["map_func"].endswith(".double")
    assert settings["ParallelMapDataset"]["deterministic"] == "true"
    names = [each.operation.strip("_") for each in pipeline.operations]
    assert names == ["OptionsDataset", "PrefetchDataset", "BatchDataset", "RepeatDataset", "ParallelMapDataset",
                     "MapDataset", "ShuffleDataset", "CacheDataset", "TensorSliceDataset"]  # fmt: skip
    from_generator = tf.data.Dataset.from_generator(source, output_signature=tf.TensorSpec((), tf.int32))
    both = describe_split(tf.data.Dataset.zip((from_generator, from_generator.repeat()))).part
    assert (both.pipeline.cardinality, both.batch_count, both.batch_size) == ("unknown", None, None)
    assert [each.depth for each in both.pipeline.operations][:2] == [0, 1]
    assert describe_split(dataset.repeat()).part.pipeline.cardinality == "infinite"
    assert drawn == []


def test_a_pipeline_of_many_operations_stays_readable():
    dataset = tf.data.Dataset.range(10)
    for _ in range(150):
        dataset = dataset.skip(0)
    pipeline = describe_split(dataset).part.pipeline
    assert (len(pipeline.operations), pipeline.left_out_count) == (100, 51)

"""Mixing in batches: windows and labels by the same shares, the same in every form and with any number of workers."""

import pickle

import keras
import numpy as np
import pytest

import archiver
from archiver import data
from archiver.data.orders import epoch_order
from archiver.errors import ArgumentError, DataError

CHANCE = np.random.default_rng(0)
X = CHANCE.normal(size=(40, 2, 6)).astype("float32")
LABELS = keras.utils.to_categorical(np.arange(40) % 3)
SOURCE = data.ArrayWindows(X, LABELS)
AUGMENT = data.Augmentation([data.Mixing(SOURCE, alpha=0.5), data.Scaling(0.8, 1.2)], seed=5)


def batches(form, **arguments):
    return data.window_batches(SOURCE, batch_size=8, seed=3, augment=AUGMENT, form=form, **arguments)


def passes(dataset, count=2):
    for _ in range(count):
        if isinstance(dataset, keras.utils.PyDataset):
            yield [dataset[index] for index in range(len(dataset))]
            dataset.on_epoch_end()
        else:
            yield [tuple(np.asarray(part) for part in batch) for batch in dataset]


def test_windows_and_labels_are_mixed_by_the_same_shares_in_every_form():
    forms = [list(passes(batches(form))) for form in ("fastest", "pydataset")]
    for tensors, arrays in zip(*forms, strict=True):
        for one, other in zip(tensors, arrays, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    for epoch, each in enumerate(forms[1]):
        x, y = (np.concatenate(parts) for parts in zip(*each, strict=True))
        assert np.allclose(y.sum(axis=1), 1)
        assert ((y > 0).sum(axis=1) > 1).sum() > 10
        numbers = np.concatenate([find(epoch, index) for index in range(5)])
        expected = AUGMENT.apply_with_labels(X[numbers], LABELS[numbers], numbers, epoch)
        assert np.array_equal(x, expected[0])
        assert np.array_equal(y, expected[1].astype(y.dtype))


def find(epoch, index):
    return epoch_order(40, 3, epoch)[index * 8 : (index + 1) * 8]


def model():
    keras.utils.set_random_seed(1)
    made = keras.Sequential([keras.Input((2, 6)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
    made.compile("sgd", "categorical_crossentropy")
    return made


def trained(dataset, **arguments):
    made = model()
    made.fit(dataset, epochs=3, shuffle=False, verbose=0, **arguments)
    return made.get_weights()


def test_trained_weights_do_not_depend_on_workers():
    alone = trained(batches("pydataset"))
    several = batches("pydataset")
    several.workers = 3
    assert all(np.array_equal(a, b) for a, b in zip(alone, trained(several), strict=True))


def test_a_data_set_goes_to_other_processes():
    dataset = batches("pydataset")
    again = pickle.loads(pickle.dumps(dataset))
    for one, other in zip(dataset[3], again[3], strict=True):
        assert np.array_equal(one, other)
    (block,) = again.archiver_source.blocks("x")
    assert np.array_equal(block, X)


def test_what_was_mixed_stands_in_the_archive(tmp_path):
    archive = archiver.RunArchiver(tmp_path, name="a", figures=False, sampling_hertz=None)
    trained(batches("fastest"), callbacks=[archive])
    told = archive.run.read(archiver.layout.PREPROCESSING).data_sets["train"]["augmentation"]["x"]
    assert told["seed"] == 5
    assert [each["operation"] for each in told["operations"]] == ["mixing", "scaling"]
    assert told["operations"][0]["alpha"] == 0.5
    part = archive.run.read(archiver.layout.DATASET_STATS).splits["train"].arrays[0]
    assert part.mean == pytest.approx(X.mean(), rel=1e-6), "of the windows as they are stored"


def test_labels_that_cannot_be_mixed_are_named():
    numbers = np.arange(40) % 3
    with pytest.raises(DataError, match="labels of int64 with an augmentation that mixes them"):
        batches("fastest", labels=numbers)
    two = {"a": SOURCE, "b": SOURCE}
    with pytest.raises(ArgumentError, match=r"\['a', 'b'\]. Expected it for one"):
        data.window_batches(two, seed=1, augment={"a": AUGMENT, "b": AUGMENT})
    x, y = data.window_batches(two, seed=1, augment={"b": AUGMENT}, form="pydataset")[0]
    assert np.allclose(y.sum(axis=1), 1)
    assert not np.array_equal(x["a"], x["b"])
    assert data.window_batches(SOURCE, labels=False, seed=1, augment=AUGMENT, form="pydataset")[0].shape == (32, 2, 6)

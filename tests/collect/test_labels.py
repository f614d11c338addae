"""Class distributions against NumPy and numbers computed by hand."""

import math

import numpy as np
import pytest

from archiver.collect.labels import LabelCounter, class_distribution
from archiver.records.base import Unavailable

GENERATOR = np.random.default_rng(0)


def test_by_hand():
    found = class_distribution(np.array([3, 3, 3, 1]))
    assert (found.kind, found.class_count, found.sample_count) == ("classes", 2, 4)
    assert (found.majority_class, found.majority_share, found.imbalance_ratio) == ("3", 0.75, 3.0)
    assert found.normalised_entropy == pytest.approx(-(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25)))
    assert list(found.counts.items()) == [("1", 1), ("3", 3)]


@pytest.mark.parametrize(
    "make",
    [
        lambda y: y, lambda y: y[:, None], lambda y: y.astype("uint8"), lambda y: (y % 2).astype("float32"),
        lambda y: (y % 2).astype(bool), lambda y: y.reshape(-1, 1).astype("int32"),
    ],
)  # fmt: skip
def test_counts_are_numpy_s(make):
    targets = make(GENERATOR.integers(0, 10, 200_000))
    values, counts = np.unique(targets, return_counts=True)
    found = class_distribution(targets)
    assert found.counts == {str(int(value)): int(count) for value, count in zip(values, counts, strict=True)}
    assert found.sample_count == 200_000
    assert found.labels_per_sample == 1


def test_one_hot():
    labels = GENERATOR.integers(0, 3, 500)
    found = class_distribution(np.eye(4, dtype="float32")[labels])
    assert (found.kind, found.class_count) == ("one_hot", 4)
    assert found.counts == {str(label): int((labels == label).sum()) for label in range(4)}
    assert found.imbalance_ratio == math.inf, "the last column is always 0"


def test_multi_label():
    targets = (GENERATOR.random((300, 5)) < 0.4).astype(int)
    found = class_distribution(targets)
    assert found.kind == "multi_label"
    assert list(found.counts.values()) == targets.sum(axis=0).tolist()
    assert found.labels_per_sample == pytest.approx(targets.sum() / 300)
    assert found.majority_share == targets.sum(axis=0).max() / 300


@pytest.mark.parametrize(
    "targets",
    [GENERATOR.normal(size=20), np.array([[0, 2], [1, 0]]), np.zeros((3, 2, 2)), np.array(["a"]), np.empty(0, int)],
    ids=str,
)
def test_no_labels(targets):
    assert isinstance(class_distribution(targets), Unavailable)


def test_equal_classes_and_one_class():
    assert class_distribution(np.arange(10)).normalised_entropy == pytest.approx(1)
    assert class_distribution(np.ones(10, int)).normalised_entropy == 0


def test_ten_thousand_classes_are_counted_and_more_are_not():
    found = class_distribution(np.repeat(np.arange(10_000), 2))
    assert (found.class_count, found.majority_class, found.normalised_entropy) == (10_000, "0", pytest.approx(1))
    assert list(type(found).model_fields)[-1] == "counts", "what matters stands before the long list"
    assert "10000" in class_distribution(np.arange(10_001)).unavailable


def test_batches_and_the_whole_are_counted_alike():
    targets = (GENERATOR.random((300, 5)) < 0.2).astype("float32")
    counter = LabelCounter()
    for start in range(0, 300, 7):
        counter.update(targets[start : start + 7])
    assert counter.distribution() == class_distribution(targets)


def test_targets_that_change_their_nature():
    counter = LabelCounter()
    counter.update(np.array([1, 2]))
    counter.update(np.array([0.5, 2]))
    assert isinstance(counter.distribution(), Unavailable)

"""Intervals: the same as those of a plain loop over resampled arrays; seeded, and without the global random state."""

import random as python_random

import numpy as np
import pytest
from sklearn import metrics

from archiver.records.base import Unavailable
from archiver.records.scores import BootstrapPart
from archiver.scoring import bootstrap, statistics
from archiver.scoring.elements import elements_of
from archiver.scoring.hints import Hints
from archiver.scoring.ranking import Order, areas
from archiver.scoring.scores import score_output

COUNT, RESAMPLES = 40, 25


def naive(score, count, weights=None):
    """The score of each resample, from arrays that hold every drawn sample."""
    generator = np.random.Generator(np.random.PCG64(bootstrap.SEED))
    found = []
    for _ in range(RESAMPLES):
        drawn = generator.integers(0, count, count)
        found.append(score(drawn))
    return np.array(found)


def resampled(elements, statistic):
    part = BootstrapPart(confidence_level=0.95, resample_count=RESAMPLES, seed=bootstrap.SEED)
    return bootstrap.resample(elements.sample_count, elements.count, part, [statistic])


@pytest.fixture(params=[False, True], ids=["plain", "weighted"])
def weights(request):
    return np.random.default_rng(8).random(COUNT) + 0.1 if request.param else None


def of(weights, drawn):
    return None if weights is None else weights[drawn]


@pytest.mark.parametrize("block", [1, 7 * COUNT, 1 << 20])
def test_class_scores(block, weights, monkeypatch):
    monkeypatch.setattr(bootstrap, "_BLOCK_ELEMENTS", block)
    random = np.random.default_rng(1)
    y, guess = random.integers(0, 2, COUNT), random.integers(0, 2, COUNT)
    elements = elements_of((COUNT,), weights)
    found = resampled(elements, statistics.class_scores(elements, y, guess, is_binary=True))
    arguments = lambda drawn: {"sample_weight": of(weights, drawn), "zero_division": 0}  # noqa: E731
    expected = {
        "f1_macro": lambda i: metrics.f1_score(y[i], guess[i], average="macro", **arguments(i)),
        "precision": lambda i: metrics.precision_score(y[i], guess[i], **arguments(i)),
        "recall": lambda i: metrics.recall_score(y[i], guess[i], **arguments(i)),
        "f1": lambda i: metrics.f1_score(y[i], guess[i], **arguments(i)),
        "balanced_accuracy": lambda i: metrics.balanced_accuracy_score(y[i], guess[i], sample_weight=of(weights, i)),
    }
    assert set(found) == set(expected)
    for name, score in expected.items():
        np.testing.assert_allclose(found[name], naive(score, COUNT), err_msg=name)


def test_many_classes_some_of_them_rare(weights):
    random = np.random.default_rng(2)
    y, guess = random.integers(0, 30, COUNT), random.integers(0, 30, COUNT)
    guess[::2] = y[::2]
    elements = elements_of((COUNT,), weights)
    found = resampled(elements, statistics.class_scores(elements, y, guess, is_binary=False))
    score = lambda i: metrics.f1_score(  # noqa: E731
        y[i], guess[i], average="macro", sample_weight=of(weights, i), zero_division=0
    )
    np.testing.assert_allclose(found["f1_macro"], naive(score, COUNT))


def test_area_under_the_curve(weights):
    random = np.random.default_rng(3)
    y, p = random.integers(0, 2, COUNT), np.round(random.random(COUNT), 1)
    elements = elements_of((COUNT,), weights)
    found = resampled(elements, statistics.roc_auc(elements, p, y == 1))
    expected = naive(lambda i: metrics.roc_auc_score(y[i], p[i], sample_weight=of(weights, i)), COUNT)
    np.testing.assert_allclose(found["roc_auc"], expected)


@pytest.mark.parametrize("columns", [1, 3])
def test_regression(columns, weights):
    random = np.random.default_rng(4)
    y = 1e3 + random.normal(size=(COUNT, columns))
    p = y + random.normal(size=(COUNT, columns))
    elements = elements_of((COUNT,), weights)
    found = resampled(elements, statistics.regression_scores(elements, y, p))
    found |= resampled(elements, statistics.means(elements, {"mae": np.abs(y - p).mean(axis=1)}))
    expected = {
        "r2": metrics.r2_score,
        "root_mean_squared_error": metrics.root_mean_squared_error,
        "mae": metrics.mean_absolute_error,
    }
    for name, score in expected.items():
        values = naive(lambda i, score=score: score(y[i], p[i], sample_weight=of(weights, i)), COUNT)
        np.testing.assert_allclose(found[name], values, rtol=1e-6, err_msg=name)


def test_equal_targets_have_the_r2_that_scikit_learn_gives():
    elements = elements_of((4,), None)
    y = np.full((4, 1), 0.1)
    for p in (y, y + 1):
        found = resampled(elements, statistics.regression_scores(elements, y, p))
        assert set(found["r2"]) == {metrics.r2_score(y, p)}


def test_labels(weights):
    random = np.random.default_rng(5)
    y, guess = random.random((COUNT, 4)) < 0.3, random.random((COUNT, 4)) < 0.3
    elements = elements_of((COUNT,), weights)
    found = resampled(elements, statistics.label_scores(elements, y, guess))
    for kind in ("micro", "macro"):
        score = lambda i, kind=kind: metrics.f1_score(  # noqa: E731
            y[i], guess[i], average=kind, sample_weight=of(weights, i), zero_division=0
        )
        np.testing.assert_allclose(found[f"f1_{kind}"], naive(score, COUNT))


def test_samples_are_drawn_whole():
    """Each with all its elements, those of weight 0 left out."""
    random = np.random.default_rng(6)
    y, guess = random.integers(0, 3, (COUNT, 4)), random.integers(0, 3, (COUNT, 4))
    mask = (random.random((COUNT, 4)) < 0.6).astype(float)
    elements = elements_of((COUNT, 4), mask)
    kept = mask.reshape(-1) > 0
    flat = y.reshape(-1)[kept], guess.reshape(-1)[kept]
    found = resampled(elements, statistics.class_scores(elements, *flat, is_binary=False))
    found |= resampled(elements, statistics.means(elements, {"accuracy": flat[0] == flat[1]}))

    def drawn(score):
        def of_resample(i):
            chosen = mask[i].reshape(-1) > 0
            return score(y[i].reshape(-1)[chosen], guess[i].reshape(-1)[chosen])

        return naive(of_resample, COUNT)

    np.testing.assert_allclose(found["f1_macro"], drawn(lambda a, b: metrics.f1_score(a, b, average="macro")))
    np.testing.assert_allclose(found["accuracy"], drawn(metrics.accuracy_score))


def test_the_interval_lies_between_the_percentiles_of_the_defined_scores():
    values = np.append(np.arange(101.0), [np.nan] * 9)
    part = bootstrap.percentile_interval(values, 0.95)
    assert (part.low, part.high, part.resample_count) == (pytest.approx(2.5), pytest.approx(97.5), 101)
    assert isinstance(bootstrap.percentile_interval(np.array([np.nan]), 0.95), Unavailable)


def test_how_many_resamples():
    assert bootstrap.plan(10_000, 10_000).resample_count == 1000
    assert bootstrap.plan(100_000, 100_000).resample_count == 500
    assert bootstrap.plan(2_000_000, 2_000_000).resample_count == 200
    assert "more than" in bootstrap.plan(10, 10_000_000).unavailable
    assert "1 sample" in bootstrap.plan(1, 1).unavailable


def test_twice_the_same_and_no_global_random_state_is_touched():
    random = np.random.default_rng(7)
    y, p = random.integers(0, 2, 50), random.random(50)
    states = python_random.getstate(), np.random.get_state()[1].tolist()
    first, second = (score_output(y, p, None, Hints(loss="binary_crossentropy"))[0] for _ in range(2))
    assert first == second
    assert (python_random.getstate(), np.random.get_state()[1].tolist()) == states
    assert {"accuracy", "f1_macro", "roc_auc", "log_loss"} <= set(first.intervals)
    for name, part in first.intervals.items():
        assert part.low <= first.values[name] <= part.high, name
    assert (first.bootstrap.seed, first.bootstrap.resample_count) == (0, 1000)
    assert "Efron" in first.bootstrap.method


def test_a_thousand_resamples_of_ten_thousand_samples_take_less_than_two_seconds():
    random = np.random.default_rng(8)
    y, p = random.integers(0, 2, 10_000), random.random(10_000)
    elements = elements_of((10_000,), None)
    part = bootstrap.plan(10_000, 10_000)
    both = [
        statistics.means(elements, {"accuracy": y == (p > 0.5)}),
        statistics.class_scores(elements, y, (p > 0.5).astype(int), is_binary=True),
        statistics.roc_auc(elements, p, y == 1),
    ]
    scores = bootstrap.resample(10_000, 10_000, part, both)
    assert len(scores["roc_auc"]) == 1000


def test_areas_of_no_positives_are_not_defined():
    order = Order.of(np.array([0.1, 0.2]))
    assert np.isnan(areas(order, np.array([False, False]), np.ones((3, 2)))).all()

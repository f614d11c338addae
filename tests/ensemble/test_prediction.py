"""Memory is learnt from candidates before, with an honest error."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from archiver.ensemble.prediction import MINIMAL_ROWS, MemoryModel, MemoryRow, memory_time_correlation


def rows(count, noise=0.05, seed=0):
    """Forests take memory in proportion to trees and samples, linear models by their data."""
    generator = np.random.default_rng(seed)
    for number in range(count):
        samples = int(generator.choice([1000, 4000, 16000]))
        trees = int(generator.choice([10, 40, 160]))
        error = math.exp(generator.normal(scale=noise))
        if number % 2:
            yield MemoryRow(
                "Forest", {"n_estimators": trees}, samples, 20, samples * 160, 0.002 * trees * samples * error
            )
        else:
            yield MemoryRow("Linear", {"C": 1.0, "solver": "lbfgs"}, samples, 20, samples * 160, samples / 40 * error)


def test_it_learns_types_configurations_and_sizes():
    model = MemoryModel(list(rows(60)))
    known = list(rows(40, noise=0.0, seed=1))
    for row in known:
        predicted = model.predict(MemoryRow(row.classifier_type, row.configuration, *_data(row)))
        assert predicted.memory_mb == pytest.approx(row.memory_mb, rel=0.35)
        assert predicted.row_count == 60


def _data(row):
    return row.sample_count, row.feature_count, row.data_bytes


def test_the_stated_error_is_the_error_on_new_rows():
    model = MemoryModel(list(rows(80, noise=0.4)))
    errors, below = [], 0
    new = list(rows(200, noise=0.4, seed=5))
    for row in new:
        predicted = model.predict(row)
        errors.append(math.log1p(row.memory_mb) - math.log1p(predicted.memory_mb))
        below += row.memory_mb <= predicted.high_mb
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(model.typical_error, rel=0.3)
    assert 0.88 <= below / len(new) <= 0.99


def test_too_few_rows_or_rows_without_memory_predict_nothing():
    few = list(rows(MINIMAL_ROWS - 1))
    gaps = [MemoryRow("Forest", {}, 1, 1, 1, None), MemoryRow("Forest", {}, 1, 1, 1, math.nan)]
    model = MemoryModel(few + gaps)
    assert model.row_count == MINIMAL_ROWS - 1
    assert model.predict(few[0]) is None


def test_a_type_that_was_never_seen_is_predicted_from_the_rest():
    predicted = MemoryModel(list(rows(20))).predict(
        MemoryRow("Unknown", {"depth": None, "name": "x"}, 4000, 20, 640000)
    )
    assert 0 < predicted.memory_mb < predicted.high_mb < math.inf


def test_correlation_of_memory_with_time():
    assert memory_time_correlation([1, 2, 4, 8], [0.1, 0.2, 0.3, 9]) == pytest.approx(1)
    assert memory_time_correlation([1, None, 4, 8], [9, 1, 3, 0.1]) == pytest.approx(-1)
    assert memory_time_correlation([1, 2], [1, 2]) is None
    tied = [3, 1, 2, 2, 9, 1], [1.0, 4.0, 2.0, 2.0, 7.0, 1.0]
    assert memory_time_correlation(*tied) == pytest.approx(spearmanr(*tied).statistic)
    assert memory_time_correlation([1, 1, 1], [1, 2, 3]) is None
    assert memory_time_correlation([None] * 5, [1, 2, 3, 4, 5]) is None

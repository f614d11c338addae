"""The performance of metrics against numpy and numbers worked out by hand."""

import math
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.archive.outcome import build_history, derived_sections
from archiver.archive.performance import build_performance
from archiver.records.base import Unavailable
from tests.archive.histories import journal_of

finite = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 6))  # numpy squares, and underflows


def performance(*phases, **kwargs):
    return build_performance(build_history(journal_of(*phases, **kwargs)))


def where(point):
    return point.phase, point.epoch, point.value


def test_a_curve_worked_out_by_hand():
    found = performance({"loss": [4.0, 1.0, 2.0, 1.0, 3.0]})["loss"]
    assert found.direction == "min"
    assert where(found.first) == (0, 0, 4.0)
    assert where(found.last) == (0, 4, 3.0)
    assert where(found.best) == (0, 1, 1.0), "the first of equal ones"
    assert where(found.worst) == (0, 0, 4.0)
    assert (found.improvement, found.relative_improvement, found.best_improvement) == (1.0, 0.25, 3.0)
    assert found.improvement_per_epoch == 0.25
    assert found.mean == 2.2
    assert found.standard_deviation == pytest.approx(math.sqrt(6.8 / 4), rel=1e-15)
    assert (found.value_count, found.non_finite_count) == (5, 0)


def test_more_is_better_for_an_accuracy():
    found = performance({"val_accuracy": [0.5, 0.25, 0.75]})["val_accuracy"]
    assert found.direction == "max"
    assert where(found.best) == (0, 2, 0.75)
    assert where(found.worst) == (0, 1, 0.25)
    assert (found.improvement, found.relative_improvement, found.improvement_per_epoch) == (0.25, 0.5, 0.125)


def test_directions_that_keras_told_count_in_validation_too():
    found = performance({"gain": [1.0, 2.0], "val_gain": [3.0, 1.0]}, directions={"gain": "max"})
    assert (found["gain"].improvement, found["val_gain"].improvement) == (1.0, -2.0)


def test_where_nobody_knows_the_direction():
    found = performance({"learning_rate": [1.0, 2.0, 0.5]})["learning_rate"]
    assert found.direction == "unknown"
    for each in (found.best, found.worst, found.improvement, found.relative_improvement, found.best_improvement):
        assert "neither" in each.unavailable
    assert where(found.minimum) == (0, 2, 0.5)
    assert where(found.maximum) == (0, 1, 2.0)
    assert found.mean == pytest.approx(3.5 / 3)


def test_two_phases_are_one_curve_and_epochs_without_a_value_take_time():
    found = performance({"loss": [4.0, 3.0], "val_loss": [None, 5.0]}, {"loss": [2.0, 1.0], "val_loss": [None, 1.0]})
    assert where(found["loss"].best) == (1, 1, 1.0)
    assert found["loss"].improvement_per_epoch == 1.0
    assert where(found["val_loss"].first) == (0, 1, 5.0)
    assert found["val_loss"].improvement_per_epoch == 2.0, "two epochs between the validations"
    assert found["val_loss"].value_count == 2


def test_nan_and_infinity_are_counted_and_left_out():
    found = performance({"loss": [math.nan, 2.0, math.inf, 1.0, math.nan]})["loss"]
    assert math.isnan(found.first.value)
    assert math.isnan(found.last.value)
    assert where(found.best) == (0, 3, 1.0)
    assert (found.improvement, found.improvement_per_epoch, found.mean) == (1.0, 0.5, 1.5)
    assert (found.value_count, found.non_finite_count) == (5, 3)


def test_nothing_but_nan():
    found = performance({"loss": [math.nan, math.nan]})["loss"]
    for each in (found.best, found.worst, found.improvement, found.mean, found.standard_deviation, found.minimum):
        assert each == Unavailable(unavailable="no value is finite")
    assert found.non_finite_count == found.value_count == 2


def test_one_epoch():
    found = performance({"loss": [2.0]})["loss"]
    assert where(found.best) == where(found.worst) == where(found.first) == where(found.last) == (0, 0, 2.0)
    assert found.mean == 2.0
    for each in (found.improvement, found.relative_improvement, found.improvement_per_epoch, found.standard_deviation):
        assert each == Unavailable(unavailable="only one value is finite")


def test_no_epoch_and_no_phase():
    assert performance() == {}
    assert performance({"loss": []}) == {}


def test_a_first_value_of_zero_has_no_relative_improvement():
    found = performance({"loss": [0.0, 1.0]})["loss"]
    assert found.improvement == -1.0
    assert found.relative_improvement == Unavailable(unavailable="the first value is 0")


@given(st.lists(finite, min_size=2, max_size=40))
def test_mean_and_deviation_are_those_of_numpy(values):
    found = performance({"loss": values})["loss"]
    size = max(map(abs, values))
    assert found.mean == pytest.approx(np.mean(values), rel=1e-12, abs=1e-12 * size)
    assert found.standard_deviation == pytest.approx(np.std(values, ddof=1), rel=1e-9, abs=1e-12 * size)
    assert found.best.value == np.min(values)
    assert found.best.epoch == int(np.argmin(values))
    assert found.worst.epoch == int(np.argmax(values))
    assert found.best_improvement >= max(0, found.improvement)


@given(st.lists(finite, min_size=2, max_size=20))
def test_a_metric_and_its_negative_mirror_each_other(values):
    less = performance({"loss": values})["loss"]
    more = performance({"accuracy": [-value for value in values]})["accuracy"]
    assert (less.improvement, less.best.epoch, less.worst.epoch) == (
        more.improvement,
        more.best.epoch,
        more.worst.epoch,
    )
    assert less.mean == -more.mean
    assert less.standard_deviation == more.standard_deviation


@pytest.mark.parametrize("value", [sys.float_info.max, 5e-324])
def test_the_largest_and_the_smallest_floats_break_nothing(value):
    found = performance({"loss": [value, -value, value]})["loss"]
    assert found.mean == pytest.approx(value / 3)
    assert found.best.value == -value
    sections = derived_sections(
        journal := journal_of({"loss": [value, -value, value], "val_loss": [-value, value, value]}),
        build_history(journal),
    )
    assert set(sections) == {"performance", "convergence", "timing", "parents"}


def test_the_cost_grows_with_the_epochs_and_not_with_their_square():
    rng = np.random.default_rng(0)
    seconds = []
    for epochs in (500, 500, 10_000):  # the first warms up
        columns = {name: rng.random(epochs).tolist() for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
        contents = journal_of(columns)
        begin = time.process_time()
        derived_sections(contents, build_history(contents))
        seconds.append(time.process_time() - begin)
    assert seconds[2] < 100 * seconds[1], "20 times as many epochs"

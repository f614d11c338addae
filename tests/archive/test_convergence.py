"""The convergence of curves whose answers are known, against scipy, and laws that must hold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.archive.convergence import MAXIMAL_VALUES_OF_ALL_PAIRS, build_convergence, curve_convergence, slope
from archiver.archive.curves import CurvePoint, curve_of
from archiver.archive.outcome import build_history
from archiver.records.base import Unavailable
from archiver.records.performance import CurveConvergence
from tests.archive.histories import journal_of

values_of_curves = st.lists(st.floats(-1e3, 1e3, allow_nan=False), min_size=3, max_size=30)


def convergence(*phases, **kwargs):
    contents = journal_of(*phases, **kwargs)
    return build_convergence(contents, build_history(contents))


def of(values, mode="min"):
    contents = journal_of({"loss": list(map(float, values))})
    return CurveConvergence(**curve_convergence(curve_of(build_history(contents).phases, "loss"), mode))


def slope_of(values):
    return slope([CurvePoint(place, 0, place, float(value)) for place, value in enumerate(values)])


def test_a_line_falls_by_its_slope_and_is_still_improving():
    found = of(100 - 2.0 * np.arange(31))
    assert found.trend_per_epoch == found.late_trend_per_epoch == -2.0
    assert found.state == "improving"
    assert found.late_improvement_share == pytest.approx(10 / 30), "eleven of 31 values span ten of thirty epochs"
    assert (found.plateau.epoch, found.epochs_after_plateau) == (30, 0)
    assert found.relative_spread == pytest.approx(20 / 50)


def test_the_same_line_gets_worse_where_more_is_better():
    found = of(100 - 2.0 * np.arange(31), "max")
    assert found.trend_per_epoch == -2.0, "the trend is that of the values"
    assert found.state == "worsening"
    assert (found.plateau.epoch, found.epochs_after_plateau) == (0, 30)


def test_an_exponential_decay_reaches_its_plateau_when_a_hundredth_is_left():
    """exp(-t / 10) - exp(-10) <= 0.01 (1 - exp(-10)) from t = 46.007 on."""
    values = np.exp(-np.arange(101) / 10)
    found = of(values)
    assert (found.plateau.epoch, found.epochs_after_plateau) == (47, 53)
    assert found.state == "plateau"
    assert found.late_improvement_share < 0.005
    late = values[-34:]
    assert found.relative_spread == pytest.approx((late[0] - late[-1]) / np.median(late))


def test_a_constant_stands_still():
    found = of([0.5] * 12)
    assert (found.trend_per_epoch, found.late_trend_per_epoch, found.late_improvement_share) == (0.0, 0.0, 0.0)
    assert (found.state, found.plateau.epoch, found.relative_spread) == ("plateau", 0, 0.0)


def test_a_step():
    found = of([2.0] * 10 + [1.0] * 10)
    assert (found.plateau.epoch, found.epochs_after_plateau) == (10, 9)
    assert (found.state, found.relative_spread) == ("plateau", 0.0)
    assert found.trend_per_epoch == slope_of([2.0] * 10 + [1.0] * 10) <= 0.0


def test_a_loss_that_grows():
    found = of(2.0 ** np.arange(12))
    assert found.state == "worsening"
    assert found.plateau.epoch == 0
    assert found.late_trend_per_epoch > 0 > found.late_improvement_share


def test_nan_at_the_end_is_divergence_and_nan_inside_is_none():
    assert of([3, 2, 1, math.nan]).state == "diverged"
    assert of([3, 2, 1, math.inf]).state == "diverged"
    inside = of([4, math.nan, 2, 1, 0])
    assert (inside.state, inside.trend_per_epoch, inside.non_finite_count) == ("improving", -1.0, 1)
    assert (inside.plateau.epoch, inside.epochs_after_plateau) == (4, 0), "epochs keep their places"


def test_nothing_but_nan():
    found = of([math.nan] * 5)
    assert found.state == "diverged"
    assert found.plateau == Unavailable(unavailable="no value is finite")
    for each in (found.trend_per_epoch, found.late_trend_per_epoch, found.relative_spread, found.epochs_after_plateau):
        assert isinstance(each, Unavailable)
    assert found.non_finite_count == found.value_count == 5


def test_one_epoch_and_two():
    one, two = of([1]), of([2, 1])
    assert isinstance(one.trend_per_epoch, Unavailable)
    assert (one.plateau.epoch, one.epochs_after_plateau) == (0, 0)
    assert two.trend_per_epoch == -1.0
    for found in (one, two):
        assert "fewer than 3" in found.state.unavailable
        assert "fewer than 3" in found.relative_spread.unavailable


def test_no_epoch_at_all():
    assert "no epoch" in convergence().unavailable
    assert "no epoch" in convergence({"loss": []}).unavailable


def test_a_median_of_zero_has_no_relative_spread():
    assert of([3, 0, 0, 0]).relative_spread == Unavailable(unavailable="the median is 0")


@pytest.mark.parametrize("count", [2, 3, 10, 77, MAXIMAL_VALUES_OF_ALL_PAIRS])
def test_the_slope_is_that_of_scipy(count):
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(count).normal(size=count) - 0.1 * np.arange(count)
    assert slope_of(values) == pytest.approx(stats.theilslopes(values)[0], rel=1e-12)


def test_wild_values_do_not_move_the_slope_but_that_of_least_squares():
    values = 10 - 0.1 * np.arange(80)
    values[::5] += 1000 * np.random.default_rng(0).random(16)
    assert slope_of(values) == pytest.approx(-0.1, abs=0.05)
    assert abs(np.polyfit(np.arange(80), values, 1)[0] + 0.1) > 0.05


@pytest.mark.parametrize("count", [101, 102, 1000, 100_001])
def test_many_values_take_the_pairs_half_a_curve_apart(count):
    noise = np.random.default_rng(count).normal(size=count)
    values = noise + 0.01 * np.arange(count)
    half = count // 2
    later = values[count - half :] - values[:half]
    assert slope_of(values) == pytest.approx(np.median(later / (count - half)), rel=1e-9)
    assert slope_of(values) == pytest.approx(0.01, abs=20 / count**1.5)
    assert slope_of(0.5 * np.arange(count)) == 0.5


@given(values_of_curves, st.integers(-8, 8))
def test_a_scale_changes_slopes_and_nothing_else(values, power):
    scale = 2.0**power
    one, other = of(values), of([value * scale for value in values])
    assert other.trend_per_epoch == pytest.approx(one.trend_per_epoch * scale, rel=1e-12, abs=1e-300)
    assert other.plateau.epoch == one.plateau.epoch
    assert other.state == one.state
    assert other.relative_spread == one.relative_spread or isinstance(other.relative_spread, Unavailable)


@given(st.lists(st.integers(-1000, 1000), min_size=3, max_size=30), st.integers(-1000, 1000))
def test_a_shift_changes_no_slope_and_no_plateau(values, shift):
    one, other = of(values), of([value + shift for value in values])
    for name in ("trend_per_epoch", "late_trend_per_epoch", "late_improvement_share", "state", "epochs_after_plateau"):
        assert getattr(one, name) == getattr(other, name)


@given(values_of_curves)
def test_a_curve_read_backwards_has_the_negative_slope(values):
    assert slope_of(values[::-1]) == -slope_of(values)


@given(values_of_curves)
def test_a_curve_turned_upside_down_with_its_mode_converges_alike(values):
    one, other = of(values, "min"), of([-value for value in values], "max")
    assert (one.state, one.plateau.epoch, one.late_improvement_share) == (
        other.state, other.plateau.epoch, other.late_improvement_share,
    )  # fmt: skip


@given(values_of_curves)
def test_after_the_plateau_a_hundredth_is_gained_at_most(values):
    found = of(values)
    best_by_then = min(values[: found.plateau.epoch + 1])
    total = values[0] - min(values)
    assert best_by_then - min(values) <= 0.01 * total
    assert all(each - min(values) > 0.01 * total for each in values[: found.plateau.epoch])


def test_the_metric_is_the_monitored_one_else_the_loss():
    columns = {"loss": [3.0, 2.0, 1.0], "val_loss": [1.0, 2.0, 3.0], "val_accuracy": [0.1, 0.2, 0.3]}
    assert convergence(columns, monitor=("val_accuracy", "max")).monitor == "val_accuracy"
    assert convergence(columns).monitor == "val_loss"
    assert convergence({"loss": [3.0, 2.0]}).monitor == "loss"
    assert convergence(columns, monitor=("val_accuracy", "max")).whole_run.state == "improving"
    assert convergence(columns).whole_run.state == "worsening"


def test_two_phases_have_each_their_own_and_one_together():
    found = convergence({"loss": [9.0, 8.0, 7.0, 6.0]}, {"loss": [1.0, 1.0, 1.0]}, {"loss": [1.0]})
    assert [(each.phase, each.state, each.trend_per_epoch) for each in found.phases] == [
        (0, "improving", -1.0), (1, "plateau", 0.0),
    ]  # fmt: skip
    assert found.whole_run.value_count == 8
    assert (found.whole_run.plateau.phase, found.whole_run.plateau.epoch) == (1, 0)
    assert found.whole_run.epochs_after_plateau == 3
    assert convergence({"loss": [9.0, 8.0, 7.0]}).phases == ()


def test_overfitting():
    train, validation = [4.0, 3.0, 2.0, 1.0, 0.5], [4.0, 3.5, 3.0, 4.0, 5.0]
    found = convergence({"loss": train, "val_loss": validation}).overfitting
    assert (found.metric, found.is_overfitting) == ("loss", True)
    assert (found.best.epoch, found.last.epoch) == (2, 4)
    assert (found.gap_at_best, found.gap_at_last) == (1.0, 4.5)
    assert (found.relative_gap_at_best, found.relative_gap_at_last) == (0.5, 9.0)
    assert (found.validation_improvement_since_best, found.training_improvement_since_best) == (-2.0, 1.5)


@pytest.mark.parametrize(
    ("train", "validation"),
    [([3.0, 2.0, 1.0], [3.0, 2.0, 1.0]), ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), ([3.0, 2.0, 1.0], [3.0, 2.0, 2.04])],
    ids=["both get better", "both get worse", "by less than a twentieth of the range"],
)
def test_no_overfitting(train, validation):
    assert convergence({"loss": train, "val_loss": validation}).overfitting.is_overfitting is False


def test_overfitting_of_an_accuracy():
    columns = {"accuracy": [0.5, 0.75, 1.0], "val_accuracy": [0.5, 0.75, 0.5], "loss": [1.0] * 3}
    found = convergence(columns, monitor=("val_accuracy", "max")).overfitting
    assert (found.is_overfitting, found.gap_at_best, found.gap_at_last) == (True, 0.0, 0.5)


def test_overfitting_cannot_be_told_without_validation_or_with_one():
    assert "val_loss" in convergence({"loss": [1.0, 2.0]}).overfitting.unavailable
    assert "val_loss" in convergence({"loss": [math.nan], "val_loss": [1.0]}).overfitting.unavailable
    one = convergence({"loss": [1.0], "val_loss": [2.0]}).overfitting
    assert (one.gap_at_best, one.gap_at_last) == (1.0, 1.0)
    assert one.is_overfitting == Unavailable(unavailable="only one epoch was validated")

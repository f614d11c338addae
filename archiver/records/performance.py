"""What the curves of a training say: the performance of each metric, and how the monitored one converged.

Notation of the formulas: y_1 ... y_n are the finite values of a metric in the order of the epochs, t_1 ... t_n the
places of their epochs in the run (0, 1, 2, ... over all phases; epochs without a value have a place too), and s is +1
where more is better, -1 where less is. Values that are NaN or infinite are counted and left out, but where it says so.
"""

from typing import Literal

from archiver.records.base import Count, Part, Real, Unavailable

Direction = Literal["min", "max", "unknown"]
"""Whether less or more of a metric is better."""

CurveState = Literal["improving", "plateau", "worsening", "diverged"]


class MetricPoint(Part):
    """The value of a metric in one epoch."""

    phase: Count
    epoch: Count
    value: Real


class MetricPerformance(Part):
    """One metric over all epochs of all phases."""

    direction: Direction
    """As its name or the compiled metric tells."""
    best: MetricPoint | Unavailable
    """The best of the y; the first of equal ones."""
    worst: MetricPoint | Unavailable
    """The worst of the y; the first of equal ones."""
    first: MetricPoint
    """The first value, also where it is NaN or infinite."""
    last: MetricPoint
    """The last value, also where it is NaN or infinite."""
    minimum: MetricPoint | Unavailable
    maximum: MetricPoint | Unavailable
    improvement: Real | Unavailable
    """s (y_n - y_1): from the first to the last finite value; negative when it got worse."""
    relative_improvement: Real | Unavailable
    """The improvement divided by |y_1|."""
    best_improvement: Real | Unavailable
    """s (best - y_1), never negative."""
    improvement_per_epoch: Real | Unavailable
    """The improvement divided by t_n - t_1."""
    mean: Real | Unavailable
    """Arithmetic mean of the y."""
    standard_deviation: Real | Unavailable
    """Of the sample: the root of the sum of (y_i - mean)^2 divided by n - 1."""
    value_count: Count
    """Epochs that have a value, finite or not."""
    non_finite_count: Count


class CurveConvergence(Part):
    """How a curve came to rest. The *last third* are the last ceil(n / 3) of the y, three at least."""

    state: CurveState | Unavailable
    """`diverged`: the last value is not finite. Else by `late_improvement_share`: above 0.05 `improving`, below -0.05
    `worsening`, between them `plateau`."""
    plateau: MetricPoint | Unavailable
    """The first epoch after which there was next to nothing to gain: where the best value so far is within 1 % of the
    total improvement |best - y_1| of the best value of all."""
    epochs_after_plateau: Count | Unavailable
    """t_n minus the place of the plateau."""
    trend_per_epoch: Real | Unavailable
    """Slope of the whole curve, in the metric's unit per epoch, by Theil and Sen: the median of the slopes
    (y_j - y_i) / (t_j - t_i) of all pairs i < j; up to 29 % of wild values do not move it. Of more than 100 values, the
    pairs of Theil's incomplete method: each value of the first half with the one half a curve later. (H. Theil, A
    rank-invariant method of linear and polynomial regression analysis, Proc. KNAW 53, 1950; P. K. Sen, Estimates of the
    regression coefficient based on Kendall's tau, J. Am. Stat. Assoc. 63, 1968.)"""
    late_trend_per_epoch: Real | Unavailable
    """The same slope, of the last third."""
    late_improvement_share: Real | Unavailable
    """s times the late trend times the epochs that the last third spans, divided by the range max - min of the whole
    curve: which part of all that was ever moved, the trend of the last third still moves. 0 for a constant curve."""
    relative_spread: Real | Unavailable
    """Stability: (max - min) / |median| of the last third; 0 is perfectly still."""
    value_count: Count
    non_finite_count: Count


class PhaseConvergence(CurveConvergence):
    """How the curve of one phase came to rest, by its own epochs alone."""

    phase: Count


class Overfitting(Part):
    """The gap between training and validation. The gap is s (training value - validation value): positive where the
    model does worse on what it has not seen.

    Keras' training values are running means over the epoch, Dropout and augmentation at work, while validation values
    are those of the epoch's end: a small negative gap is usual.
    """

    metric: str
    """The training metric; `val_` and this name is the validation metric."""
    is_overfitting: bool | Unavailable
    """Whether, since the best epoch of the validation metric, it got worse by more than 5 % of its range while the
    training metric got better."""
    best: MetricPoint
    """The best epoch of the validation metric, among those in which both are finite."""
    last: MetricPoint
    """The last epoch in which both are finite, with the validation metric."""
    gap_at_best: Real
    gap_at_last: Real
    relative_gap_at_best: Real | Unavailable
    """Divided by the absolute training value there."""
    relative_gap_at_last: Real | Unavailable
    validation_improvement_since_best: Real
    """s (value at `last` - value at `best`), never positive."""
    training_improvement_since_best: Real
    """The same of the training metric."""


class EarlyStop(Part):
    """What the EarlyStopping callback did, by the epochs of its phase."""

    monitor: str
    stopped_epoch: Count | None
    """The last epoch, where it stopped the training."""
    best_epoch: Count | None
    best_value: Real | None
    restored_epoch: Count | None
    """The epoch whose weights it put back when training ended."""
    patience: Count
    min_delta: Real


class Convergence(Part):
    """How the monitored metric converged."""

    monitor: str
    direction: Direction
    whole_run: CurveConvergence
    """Over all phases, one after the other."""
    phases: tuple[PhaseConvergence, ...]
    """Each phase with at least three epochs, where a run has more than one."""
    overfitting: Overfitting | Unavailable
    early_stopping: EarlyStop | None
    """Of the last phase; null without an EarlyStopping callback that did anything. All are in the history."""

"""Scores of a model on test data: the headline scores in the results, the tables in a record of their own."""

from typing import ClassVar, Literal

from archiver.records.base import Count, Part, Real, Record, Sha256, Unavailable

Task = Literal["binary", "multi_class", "multi_label", "regression"]

OutputKind = Literal["probabilities", "logits", "decision_values", "values"]


class DecisionPart(Part):
    """What one output was scored as, and why."""

    task: Task
    """`binary`: one column, targets 0 and 1. `multi_class`: one column per class, one class per sample. `multi_label`:
    one column per label, any number of labels per sample. `regression`: everything else."""
    decided_by: Literal["detected", "given"]
    """`given`: by `finalize(task=...)`."""
    evidence: tuple[str, ...]
    """What the task was detected from."""
    outputs_are: OutputKind
    """`logits` were made probabilities, by softmax (`multi_class`) or the sigmoid. `decision_values` are neither
    probabilities nor logits: no score that needs probabilities is computed. `values`: of a regression."""
    threshold: Real | None
    """Above it, a column counts as predicted (`binary`, `multi_label`); null for other tasks."""


class BootstrapPart(Part):
    """How confidence intervals were made."""

    method: Literal["percentile bootstrap over samples (Efron and Tibshirani 1993)"] = (
        "percentile bootstrap over samples (Efron and Tibshirani 1993)"
    )
    """Samples are drawn with replacement, as many as there are, each with all of its elements; an interval reaches from
    the 2.5th to the 97.5th percentile of the score over all draws (linear interpolation)."""
    confidence_level: Real
    resample_count: Count
    seed: Count
    """Of NumPy's PCG64."""


class Interval(Part):
    """A confidence interval."""

    low: Real
    high: Real
    resample_count: Count
    """The resamples in which the score was defined."""


class HeadlineScores(Part):
    """The scores of one output on the test data."""

    decision: DecisionPart
    sample_count: Count
    element_count: Count
    """What was scored: the samples, or each step of a sequence, each pixel of a map."""
    left_out_count: Count
    """Elements that were not scored: of sample weight 0, or of the class that the loss ignores."""
    is_weighted: bool
    """Whether the scores are weighted by the sample weights. Counts, quantiles, the median and the largest error are
    not."""
    values: dict[str, Real | Unavailable]
    """By name, as scikit-learn defines them unless said otherwise. Classification: `accuracy` (of `multi_label`:
    `subset_accuracy`, all labels of an element right, and `hamming_loss`), `balanced_accuracy`, `precision`, `recall`
    and `f1` of class 1 (`binary`), `..._macro`, `..._micro` and `..._weighted` averages, `top_5_accuracy`, `roc_auc`
    and `average_precision` (with `_macro`: one class against the rest, the mean over the classes that can be scored),
    `log_loss` (of `multi_label`: the mean over the labels), `brier_score`, `expected_calibration_error`. Regression:
    `mean_absolute_error`, `root_mean_squared_error`, `r2`, `explained_variance`, `median_absolute_error` (each the
    mean over the columns), `max_error`, `mean_error` (the bias: of prediction minus target)."""
    intervals: dict[str, Interval | Unavailable]
    """Confidence intervals of some of them."""
    bootstrap: BootstrapPart | Unavailable


class AveragePart(Part):
    """An average over classes or labels."""

    precision: Real
    recall: Real
    f1: Real


class ClassPart(Part):
    """One class, or one label."""

    index: Count
    name: str
    """Of `class_names`; the number where there is none."""
    support: Count
    """Elements that are of it."""
    predicted: Count
    """Elements that were predicted to be of it."""
    correct: Count
    """Elements that are of it and were predicted to be."""
    precision: Real
    recall: Real
    f1: Real


class ConfusedPart(Part):
    """How often one class was taken for another."""

    true: Count
    predicted: Count
    count: Count


class ConfusionPart(Part):
    """The confusion matrix, in numbers of elements."""

    matrix: tuple[tuple[Count, ...], ...] | Unavailable
    """Rows: the true class; columns: the predicted one."""
    largest: tuple[ConfusedPart, ...]
    """The most frequent confusions, at most 100."""


class CalibrationBin(Part):
    """Predictions of similar confidence."""

    low: Real
    """Exclusive, except that 0 belongs to the first bin."""
    high: Real
    """Inclusive."""
    count: Count
    confidence: Real
    """Mean of the probabilities of what was predicted; NaN where there are none."""
    accuracy: Real
    """Share of predictions that were right; NaN where there are none."""


class CalibrationPart(Part):
    """Whether what is predicted with confidence p is right in a share p of the cases (Guo et al. 2017)."""

    expected_calibration_error: Real
    """Sum over the bins of (share of the elements) * |accuracy - confidence|."""
    bins: tuple[CalibrationBin, ...]
    """Of equal width."""


class ClassScores(Part):
    """Details of a `binary` or `multi_class` output, or of the labels of a `multi_label` one."""

    kind: Literal["classes"] = "classes"
    class_count: Count
    zero_division: Real
    """What stands for a precision, recall or F1 whose denominator is 0: of classes never predicted, or not there."""
    averages: dict[str, AveragePart]
    """`macro`: the mean over the classes that occur among targets or predictions (over all labels of `multi_label`);
    `micro`: over all elements together; `weighted`: by support; `samples` (`multi_label`): the mean over elements."""
    calibration: CalibrationPart | Unavailable
    """Of `multi_label`: over all labels together."""
    confusion: ConfusionPart | Unavailable
    classes: tuple[ClassPart, ...]
    """The first 10,000."""
    classes_not_listed: Count
    roc_auc: tuple[Real, ...] | Unavailable
    """Of each class listed, against the rest; NaN where all elements are of it, or none."""
    average_precision: tuple[Real, ...] | Unavailable
    """Likewise; NaN where no element is of it."""


class ColumnPart(Part):
    """One column of a regression."""

    index: Count
    mean_absolute_error: Real
    root_mean_squared_error: Real
    r2: Real | Unavailable
    mean_error: Real
    """Of prediction minus target."""


class RegressionScores(Part):
    """Details of a `regression` output."""

    kind: Literal["columns"] = "columns"
    column_count: Count
    residual_quantiles: dict[str, Real]
    """Of prediction minus target (above 0: too high), over all columns, by percentage: `0`, `1`, `5`, `25`, `50`, `75`,
    `95`, `99`, `100`."""
    columns: tuple[ColumnPart, ...]
    """The first 100."""
    columns_not_listed: Count


class TestScores(Record):
    """`results/<name>_test_scores.json`: the tables behind the scores in the results."""

    __test__ = False

    KIND: ClassVar[str] = "test_scores"
    kind: Literal["test_scores"] = "test_scores"
    weights_digest: Sha256
    """Of the weights that were evaluated."""
    scikit_learn: str
    """Its version."""
    outputs: dict[str, ClassScores | RegressionScores | Unavailable]
    """By Keras' name of the output."""

"""Every score against scikit-learn, on random data: binary, multi-class, multi-label, regression, with weights."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from archiver.records.base import Unavailable
from archiver.scoring.hints import Hints
from archiver.scoring.scores import score_output

COUNT = 300


def generator(seed=0):
    return np.random.default_rng(seed)


def softmax(rows):
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def weights_of(weighted, count=COUNT):
    return generator(9).random(count) + 0.1 if weighted else None


def assert_values(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(COUNT,), (COUNT, 1)])
def test_binary(weighted, shape):
    random, w = generator(), weights_of(weighted)
    p = np.round(random.random(COUNT), 2).reshape(shape)  # with ties
    y = (random.random(COUNT) < 0.4).astype("int32")
    head, details = score_output(y, p, w, Hints(loss="binary_crossentropy", activation="sigmoid"))
    assert (head.decision.task, head.decision.outputs_are, head.decision.threshold) == ("binary", "probabilities", 0.5)
    p = p.reshape(-1)
    guess = p > 0.5
    expected = {
        "accuracy": metrics.accuracy_score(y, guess, sample_weight=w),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, guess, sample_weight=w),
        "precision": metrics.precision_score(y, guess, sample_weight=w),
        "recall": metrics.recall_score(y, guess, sample_weight=w),
        "f1": metrics.f1_score(y, guess, sample_weight=w),
        "f1_macro": metrics.f1_score(y, guess, sample_weight=w, average="macro"),
        "roc_auc": metrics.roc_auc_score(y, p, sample_weight=w),
        "average_precision": metrics.average_precision_score(y, p, sample_weight=w),
        "log_loss": metrics.log_loss(y, p, sample_weight=w),
        "brier_score": metrics.brier_score_loss(y, p, sample_weight=w),
        "expected_calibration_error": head.values["expected_calibration_error"],  # has tests of its own
    }
    assert_values(head.values, expected)
    assert details.confusion.matrix == tuple(map(tuple, metrics.confusion_matrix(y, guess).tolist()))
    assert details.roc_auc == pytest.approx([expected["roc_auc"]] * 2)
    zero = metrics.average_precision_score(1 - y, 1 - p, sample_weight=w)
    assert details.average_precision == pytest.approx([zero, expected["average_precision"]])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["sparse", "column", "one_hot", "logits"])
def test_multi_class(weighted, kind):
    random, w = generator(1), weights_of(weighted)
    logits = random.normal(size=(COUNT, 7)).astype("float32")
    y = random.integers(0, 7, COUNT)
    p = softmax(logits.astype("float64"))
    targets = {"column": y[:, np.newaxis].astype("float32"), "one_hot": np.eye(7, dtype="float32")[y]}.get(kind, y)
    loss = "categorical_crossentropy" if kind == "one_hot" else "sparse_categorical_crossentropy"
    hints = Hints(loss=loss, from_logits=kind == "logits", class_names=tuple("abcdefg"))
    head, details = score_output(targets, logits if kind == "logits" else p, w, hints)
    assert head.decision.task == "multi_class"
    assert head.decision.outputs_are == ("logits" if kind == "logits" else "probabilities")
    guess = p.argmax(axis=1)
    average = {
        each: metrics.precision_recall_fscore_support(y, guess, sample_weight=w, average=each)
        for each in ("macro", "micro", "weighted")
    }
    areas = [metrics.roc_auc_score(y == index, p[:, index], sample_weight=w) for index in range(7)]
    precisions = [metrics.average_precision_score(y == index, p[:, index], sample_weight=w) for index in range(7)]
    expected = {
        "accuracy": metrics.accuracy_score(y, guess, sample_weight=w),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, guess, sample_weight=w),
        "precision_macro": average["macro"][0],
        "recall_macro": average["macro"][1],
        "f1_macro": average["macro"][2],
        "f1_weighted": average["weighted"][2],
        "top_5_accuracy": metrics.top_k_accuracy_score(y, p, k=5, sample_weight=w),
        "roc_auc_macro": np.mean(areas),
        "average_precision_macro": np.mean(precisions),
        "log_loss": metrics.log_loss(y, p, sample_weight=w),
        "expected_calibration_error": head.values["expected_calibration_error"],
    }
    assert_values(head.values, expected)
    if w is None:
        assert head.values["roc_auc_macro"] == pytest.approx(metrics.roc_auc_score(y, p, multi_class="ovr"))
    assert details.roc_auc == pytest.approx(areas)
    assert details.average_precision == pytest.approx(precisions)
    for name, values in average.items():
        part = details.averages[name]
        assert (part.precision, part.recall, part.f1) == pytest.approx(values[:3]), name
    rows = metrics.precision_recall_fscore_support(y, guess, sample_weight=w)
    for index, row in enumerate(details.classes):
        assert (row.index, row.name) == (index, "abcdefg"[index])
        assert (row.precision, row.recall, row.f1) == pytest.approx([column[index] for column in rows[:3]])
        assert (row.support, row.predicted) == (np.sum(y == index), np.sum(guess == index))
        assert row.correct == np.sum((y == index) & (guess == index))
    matrix = metrics.confusion_matrix(y, guess)
    assert details.confusion.matrix == tuple(map(tuple, matrix.tolist()))
    first = details.confusion.largest[0]
    off = matrix - np.diag(np.diag(matrix))
    assert first.count == off.max() == off[first.true, first.predicted]
    assert sum(part.count for part in details.confusion.largest) == off.sum()


@pytest.mark.parametrize("weighted", [False, True])
def test_multi_label(weighted):
    random, w = generator(2), weights_of(weighted)
    p = np.round(random.random((COUNT, 5)), 2)
    y = (random.random((COUNT, 5)) < 0.3).astype("float32")
    head, details = score_output(y, p, w, Hints(loss="binary_crossentropy", activation="sigmoid"))
    assert head.decision.task == "multi_label"
    guess = p > 0.5
    average = {
        each: metrics.precision_recall_fscore_support(y, guess, sample_weight=w, average=each, zero_division=0)
        for each in ("macro", "micro", "weighted", "samples")
    }
    expected = {
        "subset_accuracy": metrics.accuracy_score(y, guess, sample_weight=w),
        "hamming_loss": metrics.hamming_loss(y, guess, sample_weight=w),
        **{f"f1_{each}": values[2] for each, values in average.items()},
        **{f"precision_{each}": average[each][0] for each in ("macro", "micro")},
        **{f"recall_{each}": average[each][1] for each in ("macro", "micro")},
        "roc_auc_macro": metrics.roc_auc_score(y, p, sample_weight=w, average="macro"),
        "average_precision_macro": metrics.average_precision_score(y, p, sample_weight=w, average="macro"),
        "log_loss": np.mean([metrics.log_loss(y[:, each], p[:, each], sample_weight=w) for each in range(5)]),
        "expected_calibration_error": head.values["expected_calibration_error"],
    }
    assert_values(head.values, expected)
    assert [row.support for row in details.classes] == y.sum(axis=0).tolist()
    assert [row.f1 for row in details.classes] == pytest.approx(
        metrics.f1_score(y, guess, sample_weight=w, average=None).tolist()
    )
    assert isinstance(details.confusion, Unavailable)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("columns", [None, 1, 3])
def test_regression(weighted, columns):
    random, w = generator(3), weights_of(weighted)
    shape = (COUNT,) if columns is None else (COUNT, columns)
    y = random.normal(size=shape)
    p = y + 0.3 * random.normal(size=shape) + 0.1
    head, details = score_output(y, p, w, Hints(loss="mean_squared_error", activation="linear"))
    assert head.decision.task == "regression"
    expected = {
        "mean_absolute_error": metrics.mean_absolute_error(y, p, sample_weight=w),
        "root_mean_squared_error": metrics.root_mean_squared_error(y, p, sample_weight=w),
        "r2": metrics.r2_score(y, p, sample_weight=w),
        "explained_variance": metrics.explained_variance_score(y, p, sample_weight=w),
        "median_absolute_error": metrics.median_absolute_error(y, p),
        "max_error": np.abs(p - y).max(),
        "mean_error": np.average(p - y, axis=0, weights=w).mean(),
    }
    assert_values(head.values, expected)
    residuals = p - y
    for percent, value in details.residual_quantiles.items():
        assert value == pytest.approx(np.percentile(residuals, int(percent)))
    matrix, guess = y.reshape(COUNT, -1), p.reshape(COUNT, -1)
    for index, column in enumerate(details.columns):
        assert column.r2 == pytest.approx(metrics.r2_score(matrix[:, index], guess[:, index], sample_weight=w))
        assert column.mean_error == pytest.approx(np.average(residuals.reshape(COUNT, -1)[:, index], weights=w))


def test_a_logit_is_the_probability_of_its_sigmoid():
    random = generator(4)
    z, y = random.normal(size=COUNT), random.integers(0, 2, COUNT)
    hints = {"loss": "binary_crossentropy", "activation": "linear"}
    logits, _ = score_output(y, z, None, Hints(**hints, from_logits=True))
    probabilities, _ = score_output(y, 1 / (1 + np.exp(-z)), None, Hints(**hints, from_logits=False))
    assert (logits.decision.outputs_are, probabilities.decision.outputs_are) == ("logits", "probabilities")
    assert_values(logits.values, probabilities.values)
    assert score_output(y, np.array([1e4] * COUNT), None, Hints(**hints, from_logits=True))[0].values["log_loss"] > 1


def test_sequences_are_scored_step_by_step():
    random = generator(5)
    p = softmax(random.normal(size=(60, 4))).reshape(12, 5, 4)
    y, w = random.integers(0, 4, (12, 5)), (random.random((12, 5)) < 0.7).astype("float32")
    hints = Hints(loss="sparse_categorical_crossentropy", activation="softmax")
    head, _ = score_output(y, p, w, hints)
    kept = w.reshape(-1) > 0
    flat, guess = y.reshape(-1)[kept], p.reshape(-1, 4).argmax(axis=1)[kept]
    assert (head.sample_count, head.element_count, head.left_out_count) == (12, kept.sum(), (~kept).sum())
    assert head.values["accuracy"] == pytest.approx(np.mean(flat == guess))
    assert head.values["f1_macro"] == pytest.approx(metrics.f1_score(flat, guess, average="macro"))
    without, _ = score_output(np.where(w > 0, y, -1), p, None, Hints(**{**vars(hints), "ignore_class": -1}))
    assert_values(without.values, head.values)
    numbers, details = score_output(p[..., :2], p[..., 2:], None, Hints(loss="mean_squared_error"))
    assert (numbers.element_count, details.column_count) == (60, 2)


def test_classes_that_do_not_occur_and_classes_never_predicted():
    y, guess = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    p = np.eye(4)[guess] * 0.9 + 0.025
    head, details = score_output(y, p, None, Hints(loss="sparse_categorical_crossentropy"))
    assert head.values["f1_macro"] == pytest.approx(metrics.f1_score(y, guess, average="macro"))
    assert head.values["balanced_accuracy"] == metrics.balanced_accuracy_score(y, guess) == 0.75
    assert [row.recall for row in details.classes] == [0.5, 1, 0, 0]
    assert [row.support for row in details.classes] == [2, 2, 0, 0]
    assert np.isnan(details.roc_auc[2:]).all()
    assert details.zero_division == 0


def test_one_class_only_has_no_area_under_the_curve():
    p = np.linspace(0.1, 0.9, 8)
    head, details = score_output(np.ones(8, int), p, None, Hints(loss="binary_crossentropy"))
    assert "all of 1 class" in head.values["roc_auc"].unavailable
    assert head.values["average_precision"] == 1
    assert "not defined" in head.intervals["roc_auc"].unavailable
    assert head.values["accuracy"] == 0.5
    assert np.isnan(details.roc_auc).all()


@pytest.mark.parametrize(
    ("y", "p", "hints", "reason"),
    [
        (np.zeros(3, int), np.array([0.5, np.nan, 0.1]), Hints(loss="binary_crossentropy"), "1 of 3 predictions"),
        (np.zeros(4, int), np.full((4, 3), np.nan), Hints(loss="sparse_categorical_crossentropy"), "4 of 4 rows"),
        (np.array([1.0, np.inf]), np.ones(2), Hints(loss="mean_squared_error"), "1 of 2 targets"),
        (np.array([0, 3]), np.full((2, 3), 1 / 3), Hints(loss="sparse_categorical_crossentropy"), "from 0 to 3, for 3"),
        (np.zeros((4, 3)), np.zeros((4, 2)), Hints(loss="mean_squared_error"), r"shape \(4, 3\) for"),
        (np.zeros(3), np.zeros(4), Hints(), "3 targets for 4"),
        (np.array([b"a", b"b"]), np.zeros(2), Hints(), "no numbers"),
        (np.zeros(0), np.zeros(0), Hints(), "shape"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_says_why(y, p, hints, reason):
    head, details = score_output(y, p, None, hints)
    assert re.search(reason, head.unavailable)
    assert details == head


@pytest.mark.parametrize("weights", [np.array([1.0, -1, 1]), np.array([1.0, np.nan, 1]), np.ones(5), np.zeros(3)])
def test_weights_that_cannot_be_used(weights):
    head, _ = score_output(np.zeros(3), np.ones(3), weights, Hints(loss="mean_squared_error"))
    assert "weight" in head.unavailable


def test_hinge_losses_have_decision_values():
    y, p = np.array([-1, 1, 1, -1]), np.array([-0.3, 2.0, -0.1, -1.5])
    head, _ = score_output(y, p, None, Hints(loss="hinge", activation="tanh"))
    assert (head.decision.outputs_are, head.decision.threshold) == ("decision_values", 0)
    assert (head.values["accuracy"], head.values["roc_auc"]) == (0.75, 1)
    assert all("no prob" in head.values[name].unavailable for name in ("log_loss", "brier_score"))


def test_the_threshold():
    y, p = np.array([0, 0, 1, 1]), np.array([0.1, 0.3, 0.35, 0.8])
    head, _ = score_output(y, p, None, Hints(loss="binary_crossentropy", threshold=0.32))
    assert (head.decision.threshold, head.values["accuracy"]) == (0.32, 1)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_scores_do_not_depend_on_the_order_of_the_samples(data):
    count, classes = data.draw(st.integers(2, 30)), data.draw(st.integers(2, 4))
    random = generator(data.draw(st.integers(0, 99)))
    p, y = softmax(random.normal(size=(count, classes))), random.integers(0, classes, count)
    order = random.permutation(count)
    hints = Hints(loss="sparse_categorical_crossentropy")
    one, _ = score_output(y, p, None, hints)
    other, _ = score_output(y[order], p[order], None, hints)
    for name, value in one.values.items():
        assert other.values[name] == (value if isinstance(value, Unavailable) else pytest.approx(value)), name

"""What an output is taken for."""

import numpy as np
import pytest

from archiver.errors import DataError
from archiver.scoring.hints import Hints
from archiver.scoring.scores import score_output
from archiver.scoring.tasks import detect_task

RANDOM = np.random.default_rng(0)
LABELS = np.array([0, 2, 1, 2])
BITS = np.array([0, 1, 1, 0])
ONE_HOT = np.eye(3)[LABELS]
SEVERAL = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
NUMBERS = RANDOM.normal(size=(4, 3))
SHARES = np.array([[0.1, 0.2, 0.7]] * 4)
SIGMOIDS = np.array([[0.9, 0.2, 0.7]] * 4)
CUSTOM = "own_loss"


@pytest.mark.parametrize(
    ("targets", "predictions", "hints", "task"),
    [
        (LABELS, SHARES, {"loss": "sparse_categorical_crossentropy", "activation": "softmax"}, "multi_class"),
        (LABELS[:, None], NUMBERS, {"loss": "sparse_categorical_crossentropy", "from_logits": True}, "multi_class"),
        (LABELS.astype("float32"), SHARES, {"loss": CUSTOM}, "multi_class"),
        (ONE_HOT, SHARES, {"loss": "categorical_crossentropy", "activation": "softmax"}, "multi_class"),
        (ONE_HOT, SHARES, {"loss": "mean_squared_error", "activation": "softmax"}, "multi_class"),
        (ONE_HOT, SHARES, {}, "multi_class"),
        (ONE_HOT, SIGMOIDS, {"loss": "binary_crossentropy", "activation": "sigmoid"}, "multi_class"),
        (SHARES, SHARES, {"loss": "categorical_crossentropy"}, "multi_class"),
        (SHARES, SHARES, {"loss": "mean_squared_error"}, "regression"),
        (BITS % 2, np.full((4, 2), 0.5), {"loss": "sparse_categorical_crossentropy"}, "multi_class"),
        (SEVERAL, SIGMOIDS, {"loss": "binary_crossentropy", "activation": "sigmoid"}, "multi_label"),
        (SEVERAL, NUMBERS, {"loss": "binary_crossentropy", "from_logits": True}, "multi_label"),
        (SEVERAL, SIGMOIDS, {}, "multi_label"),
        (SEVERAL, NUMBERS, {"loss": "mean_squared_error"}, "regression"),
        (BITS, SIGMOIDS[:, 0], {"loss": "binary_crossentropy"}, "binary"),
        (BITS, NUMBERS[:, :1], {"loss": "binary_crossentropy", "from_logits": True}, "binary"),
        (BITS, SIGMOIDS[:, :1], {"loss": "mean_squared_error", "activation": "sigmoid"}, "binary"),
        (BITS, SIGMOIDS[:, :1], {"loss": "mean_squared_error", "activation": "linear"}, "regression"),
        (BITS * 2 - 1, NUMBERS[:, :1], {"loss": "hinge"}, "binary"),
        (BITS, SIGMOIDS[:, :1], {"loss": CUSTOM}, "binary"),
        (BITS, NUMBERS[:, :1], {"loss": CUSTOM}, "regression"),
        (NUMBERS, NUMBERS, {"loss": "huber"}, "regression"),
        (NUMBERS[:, 0], NUMBERS[:, :1], {}, "regression"),
        (LABELS, NUMBERS[:, :1], {"loss": "poisson"}, "regression"),
        (np.zeros((2, 8, 8, 1)), np.full((2, 8, 8, 1), 0.2), {"loss": "binary_crossentropy"}, "binary"),
        (RANDOM.random((2, 9)), RANDOM.random((2, 9)), {"loss": "binary_crossentropy"}, "regression"),
    ],
)  # fmt: skip
def test_detected(targets, predictions, hints, task):
    found, evidence = detect_task(targets, predictions, Hints(**hints))
    assert found == task
    assert [line.partition(":")[0] for line in evidence] == [
        "loss", "activation of the output", "targets", "predictions",
    ]  # fmt: skip
    headline, _ = score_output(targets, predictions, None, Hints(**hints))
    assert headline.decision.task == task
    assert headline.decision.decided_by == "detected"


@pytest.mark.parametrize(
    ("targets", "predictions", "task"),
    [
        (ONE_HOT, SIGMOIDS, "multi_label"),
        (BITS, SIGMOIDS[:, :1], "regression"),
        (SEVERAL, SIGMOIDS, "binary"),
        (BITS, np.array([[0.2, 0.8]] * 4), "binary"),
        (np.eye(2)[BITS], np.array([[0.2, 0.8]] * 4), "binary"),
        (SEVERAL, SIGMOIDS, "regression"),
    ],
)
def test_given(targets, predictions, task):
    headline, _ = score_output(targets, predictions, None, Hints(task=task))
    assert (headline.decision.task, headline.decision.decided_by) == (task, "given")


def test_two_columns_as_binary_are_their_second_column():
    rows = np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4], [0.2, 0.8]])
    two, _ = score_output(BITS, rows, None, Hints(task="binary"))
    one, _ = score_output(BITS, rows[:, 1], None, Hints(task="binary"))
    assert two.values == one.values
    assert two.element_count == 4
    logits, _ = score_output(np.eye(2)[BITS], np.log(rows), None, Hints(task="binary", from_logits=True))
    assert logits.values["log_loss"] == one.values["log_loss"] or abs(
        logits.values["log_loss"] - one.values["log_loss"]
    ) < 1e-12  # fmt: skip


@pytest.mark.parametrize(
    ("targets", "predictions", "task", "message"),
    [
        (NUMBERS, NUMBERS, "multi_class", "targets that are numbers"),
        (NUMBERS, NUMBERS, "multi_label", "targets that are numbers"),
        (LABELS, SHARES, "binary", "Expected 1 or 2 columns"),
        (LABELS, SHARES, "regression", "class numbers"),
        (BITS, SIGMOIDS[:, :1], "multi_class", "0 and 1"),
        (BITS, SIGMOIDS[:, :1], "multi_label", "Expected at least 2 columns"),
        (np.zeros((4, 2)), SHARES, "regression", "of another shape"),
    ],
)
def test_a_task_that_does_not_fit(targets, predictions, task, message):
    with pytest.raises(DataError, match=rf"Received task='{task}'.*{message}"):
        score_output(targets, predictions, None, Hints(task=task))


def test_outputs_that_come_without_activation_are_taken_for_logits():
    headline, _ = score_output(LABELS, NUMBERS, None, Hints(loss=CUSTOM, activation="linear"))
    assert headline.decision.outputs_are == "logits"
    assert "taken for logits" in headline.decision.evidence[-1]
    headline, _ = score_output(LABELS, NUMBERS, None, Hints(loss="sparse_categorical_crossentropy", from_logits=False))
    assert headline.decision.outputs_are == "decision_values"

"""Laws of the greedy selection."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.ensemble.scores import METRICS, score
from archiver.ensemble.selection import Selection, mean_probabilities


def made(seed: int, models: int, samples: int = 40, classes: int = 3):
    generator = np.random.default_rng(seed)
    labels = np.resize(np.arange(classes), samples)
    library = {}
    for number in range(models):
        rows = generator.random((samples, classes)) + 0.5 * generator.random() * np.eye(classes)[labels]
        library[f"m{number}"] = rows / rows.sum(axis=1, keepdims=True)
    return labels, library


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.sampled_from(METRICS), st.sampled_from([2, 3]))
def test_each_step_is_the_best_one_and_the_score_only_rises(seed, models, metric, classes):
    labels, library = made(seed, models, classes=classes)
    selection = Selection(metric, labels)
    scores = []
    for name, probabilities in library.items():
        before = dict(selection.members)
        assert selection.add(name, probabilities) == score(metric, labels, probabilities)
        added = selection.climb()
        for step in added:  # by hand: each step is the best of all, repetitions included
            tried = {
                each: score(
                    metric, labels, mean_probabilities(selection.library, before | {each: before.get(each, 0) + 1})
                )
                for each in selection.library
            }
            assert tried[step] == pytest.approx(max(tried.values()), abs=1e-12)
            before[step] = before.get(step, 0) + 1
        assert before == selection.members
        assert selection.score == pytest.approx(
            score(metric, labels, mean_probabilities(selection.library, selection.members)), abs=1e-12
        )
        scores.append(selection.score)
    assert scores == sorted(scores)
    assert scores[-1] >= score(metric, labels, library["m0"])


def test_a_model_may_come_again_and_counts_twice():
    labels = np.array([0, 0, 1, 1])
    strong = np.array([[0.6, 0.4], [0.6, 0.4], [0.4, 0.6], [0.45, 0.55]])
    loud = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    selection = Selection("neg_log_loss", labels)
    selection.add("loud", loud)
    selection.climb()
    selection.add("strong", strong)
    selection.climb()
    assert selection.members["strong"] > 1
    mean = mean_probabilities(selection.library, selection.members)
    count = sum(selection.members.values())
    assert mean[1, 0] == pytest.approx(0.6 * selection.members["strong"] / count)


def test_what_gains_no_more_than_the_tolerance_is_not_added():
    labels, library = made(1, 6)
    picky = Selection("roc_auc", labels, tolerance=1.0)
    for name, probabilities in library.items():
        picky.add(name, probabilities)
        picky.climb()
    assert picky.members == {"m0": 1}


def test_scores_are_scikit_learns():
    from sklearn.metrics import log_loss, roc_auc_score

    labels, library = made(2, 1)
    rows = library["m0"]
    assert score("roc_auc", labels, rows) == roc_auc_score(labels, rows, multi_class="ovr")
    assert score("neg_log_loss", labels, rows) == -log_loss(labels, rows)

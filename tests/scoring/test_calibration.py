"""The expected calibration error against values computed by hand, and against a plain loop."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.scoring.calibration import BIN_COUNT, calibration


def test_by_hand():
    """0.95 and 0.97 share a bin (mean 0.96, accuracy 0.5), 0.6 has one of its own (accuracy 1), so has 0.35 (0).

    ECE = 2/4 * |0.5 - 0.96| + 1/4 * |1 - 0.6| + 1/4 * |0 - 0.35| = 0.23 + 0.1 + 0.0875.
    """
    part = calibration(np.array([0.95, 0.97, 0.6, 0.35]), np.array([True, False, True, False]))
    assert part.expected_calibration_error == pytest.approx(0.4175)
    assert len(part.bins) == 15
    last = part.bins[-1]
    assert (last.low, last.high, last.count) == (pytest.approx(14 / 15), 1, 2)
    assert (last.confidence, last.accuracy) == (pytest.approx(0.96), 0.5)
    assert np.isnan(part.bins[0].confidence)
    assert sum(each.count for each in part.bins) == 4


def test_weights_by_hand():
    """Weights 3 and 1: (3 * |1 - 0.5| + 1 * |0 - 0.9|) / 4."""
    part = calibration(np.array([0.5, 0.9]), np.array([True, False]), np.array([3.0, 1.0]))
    assert part.expected_calibration_error == pytest.approx(0.6)


def test_bins_are_closed_above():
    edges = np.linspace(0, 1, BIN_COUNT + 1)
    counts = [each.count for each in calibration(edges, np.ones(len(edges), bool)).bins]
    assert counts == [2] + [1] * 14, "0 and the first edge, then one edge each"


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_the_formula(pairs):
    confidence, correct = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])
    error, edges = 0.0, np.linspace(0, 1, 16)
    for number, (low, high) in enumerate(itertools.pairwise(edges)):
        inside = ((confidence > low) | (number == 0)) & (confidence <= high)
        if inside.any():
            error += inside.sum() / len(pairs) * abs(correct[inside].mean() - confidence[inside].mean())
    assert calibration(confidence, correct).expected_calibration_error == pytest.approx(error, abs=1e-12)

"""The second stage answers as before when it is expanded."""

import numpy as np
import pytest

from archiver.ensemble.stage_two import StageTwo, expand, make_network
from archiver.errors import ArgumentError


def test_an_expanded_network_answers_as_before_whatever_the_new_member_says():
    generator = np.random.default_rng(0)
    old = make_network(6, 3, StageTwo())
    inputs = generator.random((64, 6)).astype("float32")
    labels = generator.integers(0, 3, 64)
    old.fit(inputs, labels, epochs=2, verbose=0)
    new = make_network(9, 3, StageTwo())
    expand(new, old)
    wider = np.concatenate([inputs, generator.random((64, 3)).astype("float32")], axis=1)
    np.testing.assert_allclose(new.predict(wider, verbose=0), old.predict(inputs, verbose=0), rtol=1e-5, atol=1e-6)
    before = new.get_layer("hidden").get_weights()[0][6:].copy()
    new.fit(wider, labels, epochs=1, verbose=0)
    assert np.abs(new.get_layer("hidden").get_weights()[0][6:] - before).max() > 0  # and learns from it


@pytest.mark.parametrize(
    "wrong",
    [{"hidden_units": 0}, {"epochs": 1.5}, {"learning_rate": 0}, {"validation_share": 1.0}, {"growth": "both"}],
)
def test_settings_that_cannot_be(wrong):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        StageTwo(**wrong)

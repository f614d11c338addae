"""Features of signals whose features are known."""

import math

import numpy as np
import pytest
import scipy.stats

from archiver.data import BandPowers, SignalFeatures, SpectralShape, WindowStatistics
from archiver.errors import ArgumentError, DataError

HERTZ = 100.0
TIMES = np.arange(400) / HERTZ


def sine(hertz: float, amplitude: float) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hertz * TIMES)


def named(function, *channels: np.ndarray) -> dict[str, float]:
    (row,) = function(np.stack(channels)[None])
    return dict(zip(function.columns(len(channels)), row.tolist(), strict=True))


def test_a_sine_has_half_the_square_of_its_amplitude_in_its_band():
    found = named(BandPowers(HERTZ), sine(10, 3.0), sine(20, 2.0) + sine(6, 1.0) + 50)
    assert math.isclose(found["channel_0_alpha_power"], 4.5, rel_tol=1e-3)
    assert found["channel_0_beta_power"] < 1e-3
    assert math.isclose(found["channel_1_beta_power"], 2.0, rel_tol=1e-3)
    assert math.isclose(found["channel_1_theta_power"], 0.5, rel_tol=1e-3)


def test_bands_that_touch_add_up_to_the_variance():
    noise = np.random.default_rng(0).normal(size=(1, 1, 4000))
    powers = BandPowers(HERTZ, {"low": (0, 10), "middle": (10, 30), "high": (30, 50)}, segment_samples=200)(noise)
    assert math.isclose(powers.sum(), noise.var(), rel_tol=0.05)
    assert math.isclose(powers[0, 1] / powers[0, 0], 2, rel_tol=0.2), "white: power goes with the width"


def test_statistics_are_those_of_scipy():
    values = np.random.default_rng(1).gamma(2.0, size=400)
    found = named(WindowStatistics(), values, np.full(400, 7.0))
    expected = {
        "mean": values.mean(), "standard_deviation": values.std(), "skewness": scipy.stats.skew(values),
        "excess_kurtosis": scipy.stats.kurtosis(values), "minimum": values.min(), "maximum": values.max(),
        "line_length": np.abs(np.diff(values)).sum(),
    }  # fmt: skip
    for name, value in expected.items():
        assert math.isclose(found[f"channel_0_{name}"], value, rel_tol=1e-5), name
        assert np.isfinite(found[f"channel_1_{name}"]), "of a constant channel"
    assert found["channel_1_skewness"] == found["channel_1_mobility"] == 0


def test_zero_crossings_and_hjorth_of_a_sine():
    found = named(WindowStatistics(), np.sin(2 * np.pi * 5 * (TIMES + 0.001)))
    assert found["channel_0_zero_crossings"] == 2 * 5 * 4 - 1
    assert math.isclose(found["channel_0_mobility"], 2 * np.pi * 5 / HERTZ, rel_tol=0.01)
    assert math.isclose(found["channel_0_complexity"], 1, rel_tol=0.01), "a sine has complexity 1"


def test_the_shape_of_a_spectrum():
    noise = np.random.default_rng(2).normal(size=400)
    found = named(SpectralShape(HERTZ), sine(10, 1.0), noise, np.zeros(400))
    assert math.isclose(found["channel_0_peak_hz"], 10, abs_tol=0.3)
    assert math.isclose(found["channel_0_centroid_hz"], 10, abs_tol=0.3)
    assert found["channel_0_entropy"] < 0.35 < 0.8 < found["channel_1_entropy"]
    assert math.isclose(found["channel_1_centroid_hz"], 25, abs_tol=4)
    assert found["channel_1_edge_hz"] > 40
    assert found["channel_2_entropy"] == found["channel_2_peak_hz"] == 0


def test_several_side_by_side_name_their_columns():
    features = SignalFeatures([WindowStatistics(), BandPowers(HERTZ), SpectralShape(HERTZ)])
    batch = np.random.default_rng(3).normal(size=(5, 2, 400)).astype("float32")
    rows = features(batch)
    assert rows.shape == (5, len(features.columns(2)))
    assert rows.dtype == np.float32
    assert len(set(features.columns(2))) == rows.shape[1]
    assert np.array_equal(rows[2:3], features(batch[2:3])), "a window's features do not depend on the others"
    assert features(batch[:0]).shape == (0, rows.shape[1])
    assert [each["features"] for each in features.described()["functions"]] == [
        "window_statistics", "band_powers", "spectral_shape",
    ]  # fmt: skip


def test_what_cannot_be():
    with pytest.raises(ArgumentError, match="from 0 to 20 Hz, half the sampling rate"):
        BandPowers(40)
    with pytest.raises(ArgumentError, match="Received sampling_hz=0"):
        SpectralShape(0)
    with pytest.raises(ArgumentError, match="Received edge_share=1"):
        SpectralShape(HERTZ, edge_share=1)
    with pytest.raises(DataError, match="none in the band delta"):
        BandPowers(HERTZ)(np.zeros((1, 1, 10)))
    with pytest.raises(DataError, match=r"Expected \(batch, channels, samples\)"):
        WindowStatistics()(np.zeros((4, 10)))

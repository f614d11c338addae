"""Features of signals: of each channel its statistics, the powers of its bands, the shape of its spectrum.

All take a batch of the shape (batch, channels, samples) and return float32 of the shape (batch, columns): the features
of the first channel, then those of the second. `columns(channels)` names them. Computed in float64.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from archiver.errors import ArgumentError, DataError, MissingExtraError

Floats = NDArray[np.float64]
Features = NDArray[np.float32]

WINDOW_DIMENSIONS = 3
BANDS_HZ: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"delta": (0.5, 4), "theta": (4, 8), "alpha": (8, 13), "beta": (13, 30), "gamma": (30, 45)}
)
"""The usual bands of the electroencephalogram; the upper limit belongs to the next band."""
_STATISTICS = (
    "mean", "standard_deviation", "skewness", "excess_kurtosis", "minimum", "maximum", "zero_crossings", "line_length",
    "mobility", "complexity",
)  # fmt: skip
_SHAPES = ("centroid_hz", "entropy", "edge_hz", "peak_hz")


class FeatureFunction(Protocol):
    """What computes features of windows."""

    def __call__(self, batch: NDArray[Any], /) -> NDArray[Any]:
        """One row per window."""

    def columns(self, channels: int) -> tuple[str, ...]:
        """The names of the columns, for windows of so many channels."""

    def described(self) -> dict[str, Any]:
        """What an archive records of it: its name and parameters."""


@dataclass(frozen=True)
class WindowStatistics:
    """Moments, extremes and activity of each channel.

    mean, standard_deviation (of the population), skewness and excess_kurtosis (0 where a channel is constant), minimum,
    maximum, zero_crossings (changes of sign about the mean), line_length (sum of absolute differences of neighbouring
    samples), mobility and complexity (Hjorth: EEG analysis based on time domain properties, Electroencephalography and
    Clinical Neurophysiology 29, 1970, doi:10.1016/0013-4694(70)90143-4; per sample; 0 where a channel is constant).
    """

    def __call__(self, batch: NDArray[Any]) -> Features:
        """The statistics, shape (batch, 10 * channels).

        Raises:
            DataError: the batch has not the shape (batch, channels, samples), or fewer than 3 samples.
        """
        values = _signals(batch, 3)
        mean = values.mean(axis=2)
        centred = values - mean[:, :, None]
        second = np.mean(centred**2, axis=2)
        second[np.ptp(values, axis=2) == 0] = 0  # what remains there is rounding
        first_differences = np.diff(values, axis=2)
        activity = first_differences.var(axis=2)
        mobility = np.sqrt(_ratio(activity, second))
        change = np.sqrt(_ratio(np.diff(first_differences, axis=2).var(axis=2), activity))
        found = (
            mean,
            np.sqrt(second),
            _ratio(np.mean(centred**3, axis=2), second**1.5),
            _ratio(np.mean(centred**4, axis=2), second**2) - 3 * (second > 0),
            values.min(axis=2),
            values.max(axis=2),
            np.count_nonzero(np.diff(np.signbit(centred), axis=2), axis=2),
            np.abs(first_differences).sum(axis=2),
            mobility,
            _ratio(change, mobility),
        )
        return _rows(found)

    def columns(self, channels: int) -> tuple[str, ...]:
        """The names of the columns, such as `channel_0_mean`."""
        return _column_names(channels, _STATISTICS)

    def described(self) -> dict[str, Any]:
        """What an archive records of it."""
        return {"features": "window_statistics"}


@dataclass(frozen=True)
class BandPowers:
    """The power of each channel in bands of frequency: the variance that they hold, in the square of its unit.

    By Welch's method (IEEE Transactions on Audio and Electroacoustics 15, 1967, doi:10.1109/TAU.1967.1161901) through
    scipy.signal.welch: Hann windows that overlap by half, without their mean. A band's power is the sum of the
    density at `low <= frequency < high` times the distance of the frequencies: so bands that touch add up, and a sine
    of amplitude a within a band gives a**2 / 2.

    Args:
        sampling_hz: sampling rate.
        bands_hz: by name, the lower and the upper limit.
        segment_samples: samples in a segment; None: the whole window, for the finest resolution,
            `sampling_hz / segment_samples`.

    Raises:
        ArgumentError: a band is empty, or beyond half the sampling rate.
        MissingExtraError: SciPy is not installed.
    """

    sampling_hz: float
    bands_hz: Mapping[str, tuple[float, float]] = field(default_factory=lambda: BANDS_HZ)
    segment_samples: int | None = None

    def __post_init__(self) -> None:
        _require_rate(self.sampling_hz, self.segment_samples)
        if not self.bands_hz:
            raise ArgumentError("Received bands_hz={}. Expected at least one band.")
        object.__setattr__(self, "bands_hz", dict(self.bands_hz))
        for name, (low, high) in self.bands_hz.items():
            if not 0 <= low < high <= self.sampling_hz / 2:
                raise ArgumentError(
                    f"Received the band {name} of {low:g} to {high:g} Hz. Expected limits in ascending order, from 0 "
                    f"to {self.sampling_hz / 2:g} Hz, half the sampling rate; give others as bands_hz."
                )

    def __call__(self, batch: NDArray[Any]) -> Features:
        """The powers, shape (batch, bands * channels).

        Raises:
            DataError: the batch has another shape, or the windows are too short to resolve a band.
        """
        frequencies, density = _densities(batch, self.sampling_hz, self.segment_samples)
        step = frequencies[1] - frequencies[0]
        found = []
        for name, (low, high) in self.bands_hz.items():
            inside = (frequencies >= low) & (frequencies < high)
            if not inside.any():
                raise DataError(
                    f"Received windows whose spectrum has a frequency every {step:g} Hz, and none in the band {name} "
                    f"of {low:g} to {high:g} Hz. Expected longer windows or segments, or a wider band."
                )
            found.append(density[:, :, inside].sum(axis=2) * step)
        return _rows(found)

    def columns(self, channels: int) -> tuple[str, ...]:
        """The names of the columns, such as `channel_0_alpha_power`."""
        return _column_names(channels, [f"{name}_power" for name in self.bands_hz])

    def described(self) -> dict[str, Any]:
        """What an archive records of it."""
        bands = {name: list(limits) for name, limits in self.bands_hz.items()}
        return {
            "features": "band_powers",
            "sampling_hz": self.sampling_hz,
            "bands_hz": bands,
            "segment_samples": self.segment_samples,
        }


@dataclass(frozen=True)
class SpectralShape:
    """Where the power of each channel lies: of Welch's spectrum, without the constant part.

    centroid_hz (the mean frequency, weighted by power), entropy (Shannon's, of the shares of power, divided by its
    maximum: 0 for one frequency, 1 for white noise), edge_hz (the lowest frequency up to which `edge_share` of the
    power lies), peak_hz (the frequency of the greatest density). All are 0 where a channel is constant.

    Args:
        sampling_hz: sampling rate.
        edge_share: of the power, above 0, below 1.
        segment_samples: as of BandPowers.

    Raises:
        ArgumentError: a parameter is out of its range.
        MissingExtraError: SciPy is not installed.
    """

    sampling_hz: float
    edge_share: float = 0.95
    segment_samples: int | None = None

    def __post_init__(self) -> None:
        _require_rate(self.sampling_hz, self.segment_samples)
        if not 0 < self.edge_share < 1:
            raise ArgumentError(f"Received edge_share={self.edge_share!r}. Expected a share above 0 and below 1.")

    def __call__(self, batch: NDArray[Any]) -> Features:
        """The shapes, shape (batch, 4 * channels).

        Raises:
            DataError: the batch has another shape, or too few samples.
        """
        frequencies, density = _densities(batch, self.sampling_hz, self.segment_samples)
        frequencies, density = frequencies[1:], density[:, :, 1:]
        total = density.sum(axis=2)
        shares = _ratio(density, total[:, :, None])
        logarithms = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
        entropy = -np.sum(shares * logarithms, axis=2) / np.log(max(2, len(frequencies)))
        edges = (np.cumsum(shares, axis=2) >= self.edge_share).argmax(axis=2)
        has_power = total > 0
        found = (
            shares @ frequencies,
            entropy,
            frequencies[edges] * has_power,
            frequencies[density.argmax(axis=2)] * has_power,
        )
        return _rows(found)

    def columns(self, channels: int) -> tuple[str, ...]:
        """The names of the columns, such as `channel_0_centroid_hz`."""
        return _column_names(channels, _SHAPES)

    def described(self) -> dict[str, Any]:
        """What an archive records of it."""
        return {
            "features": "spectral_shape",
            "sampling_hz": self.sampling_hz,
            "edge_share": self.edge_share,
            "segment_samples": self.segment_samples,
        }


class SignalFeatures:
    """Several features side by side.

    Args:
        functions: such as `[WindowStatistics(), BandPowers(100)]`.

    Raises:
        ArgumentError: there is none.
    """

    def __init__(self, functions: Sequence[FeatureFunction]) -> None:
        self.functions = tuple(functions)
        if not self.functions:
            raise ArgumentError("Received no functions. Expected such as [WindowStatistics(), BandPowers(100)].")

    def __call__(self, batch: NDArray[Any]) -> Features:
        """The columns of the first, then those of the next, shape (batch, columns)."""
        return np.concatenate([function(batch) for function in self.functions], axis=1).astype(np.float32)

    def columns(self, channels: int) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(name for function in self.functions for name in function.columns(channels))

    def described(self) -> dict[str, Any]:
        """What an archive records of it."""
        return {"features": "together", "functions": [function.described() for function in self.functions]}


def _require_rate(sampling_hz: float, segment_samples: int | None) -> None:
    if not 0 < sampling_hz < np.inf:
        raise ArgumentError(f"Received sampling_hz={sampling_hz!r}. Expected a rate above 0, in Hz.")
    if segment_samples is not None and segment_samples < WINDOW_DIMENSIONS:
        raise ArgumentError(f"Received segment_samples={segment_samples!r}. Expected at least 3 samples, or None.")
    _scipy_signal()


def _scipy_signal() -> Any:
    try:
        import scipy.signal
    except ImportError as error:
        raise MissingExtraError('spectra need SciPy, which is not installed: pip install "keras-archiver[data]"') from (
            error
        )
    return scipy.signal


def _signals(batch: NDArray[Any], fewest_samples: int) -> Floats:
    if batch.ndim != WINDOW_DIMENSIONS or batch.shape[2] < fewest_samples:
        raise DataError(
            f"Received a batch of the shape {batch.shape}. Expected (batch, channels, samples), with at least "
            f"{fewest_samples} samples."
        )
    return np.asarray(batch, np.float64)


def _densities(batch: NDArray[Any], sampling_hz: float, segment_samples: int | None) -> tuple[Floats, Floats]:
    """Frequencies in Hz, shape (frequencies,), and power densities, shape (batch, channels, frequencies)."""
    values = _signals(batch, 3)
    length = values.shape[2] if segment_samples is None else min(segment_samples, values.shape[2])
    if not values.size:  # SciPy gives no frequencies then
        empty = np.fft.rfftfreq(length, 1 / sampling_hz).astype(np.float64)
        return empty, np.zeros((*values.shape[:2], len(empty)))
    frequencies, density = _scipy_signal().welch(values, sampling_hz, nperseg=length)  # a Hann window, halves overlap
    density[np.ptp(values, axis=2) == 0] = 0  # what remains there is rounding
    return frequencies, density


def _ratio(above: Floats, below: Floats) -> Floats:
    """0 where `below` is 0."""
    below = np.broadcast_to(below, above.shape)
    return np.divide(above, below, out=np.zeros_like(above), where=below != 0)


def _rows(found: Sequence[NDArray[Any]]) -> Features:
    """From features of the shape (batch, channels), rows with the features of a channel beside each other."""
    stacked = np.stack([np.asarray(each, np.float32) for each in found], axis=2)
    return stacked.reshape(len(stacked), stacked.shape[1] * stacked.shape[2])


def _column_names(channels: int, names: Sequence[str]) -> tuple[str, ...]:
    clean = [re.sub(r"\W+", "_", name) for name in names]
    return tuple(f"channel_{channel}_{name}" for channel in range(channels) for name in clean)

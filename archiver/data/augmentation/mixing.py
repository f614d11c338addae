"""Mixing a window with another one: mixup."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.augmentation.operation import Floats, Operation, require_range
from archiver.data.augmentation.streams import MAXIMAL_CHOICES, Streams, choices, draw
from archiver.data.windows import as_windows
from archiver.errors import ArgumentError, DataError

TABLE_STEPS = 4096
MINIMAL_ALPHA = 0.01
MAXIMAL_ALPHA = 100


@dataclass(frozen=True, eq=False)
class Mixing(Operation):
    """Replace a window by a weighted mean of itself and another window of the data set, and its label likewise.

    Zhang et al.: mixup: Beyond empirical risk minimization, ICLR 2018. The share of each follows Beta(alpha, alpha);
    the larger share is the window's own, which is the same mixture for a pair. The partner is drawn from the window's
    own random numbers as the number of a window of `source`, not as a neighbour in the batch: so the result depends
    neither on the batch nor on the order of the data. It is read as it is stored, and only where a window is mixed:
    put Mixing first, and give batches as `source` returns them. A window may be its own partner.

    Args:
        source: windows, or an array, of which the batches are read.
        alpha: of the Beta distribution, 0.01 to 100; small ones leave most windows almost alone.
        partners: numbers of the windows that may be partners, such as those of the training subjects; None: all.
            Windows of validation and test data must not be among them.
        labels: float rows that can be mixed, such as one-hot ones, one per window of `source`; None: those of `source`.

    Raises:
        ArgumentError: a parameter is out of its range, or there is no partner.
    """

    source: Any
    alpha: float = 0.4
    partners: Any = field(default=None, repr=False)
    labels: Any = field(default=None, repr=False)
    _numbers: NDArray[np.int64] | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range("alpha", self.alpha, MINIMAL_ALPHA, MAXIMAL_ALPHA)
        object.__setattr__(self, "source", as_windows(self.source))
        labels = self.source.labels if self.labels is None else np.asarray(self.labels)
        object.__setattr__(self, "labels", labels)
        count = self.source.shape[0]
        if labels is not None and len(labels) != count:
            raise ArgumentError(f"Received {len(labels)} labels for {count} windows. Expected one row per window.")
        object.__setattr__(self, "_numbers", _partner_numbers(self.partners, count))

    def change(self, batch: Floats, chosen: NDArray[np.int64], streams: Streams) -> None:
        """Mix the windows.

        Raises:
            DataError: the windows of `source` have another shape than those of the batch.
        """
        if self.source.shape[1:] != batch.shape[1:]:
            raise DataError(
                f"Received windows of the shape {batch.shape[1:]} in the batch and {self.source.shape[1:]} in the "
                "source of Mixing. Expected the same shape."
            )
        shares, partners = self.drawn(streams)
        others = self.source.read(partners)
        for number, own, other in zip(chosen.tolist(), shares.astype(batch.dtype), others, strict=True):
            batch[number] *= own
            batch[number] += (1 - own) * other

    def change_labels(self, labels: NDArray[Any], chosen: NDArray[np.int64], streams: Streams) -> None:
        """Mix the labels by the shares of the windows.

        Raises:
            DataError: the labels are class numbers, or those of the source have another shape.
        """
        found = None if self.labels is None else self.labels.shape[1:]
        if labels.dtype.kind != "f" or found != labels.shape[1:]:
            raise DataError(
                f"Received {labels.dtype} labels of the shape {labels.shape}, and rows of the shape {found} for the "
                "partners. Expected float rows of the same shape in both, such as keras.utils.to_categorical makes; "
                "give those of all windows as Mixing(labels=)."
            )
        shares, partners = self.drawn(streams)
        own = shares.reshape(-1, *(1,) * (labels.ndim - 1))
        labels[chosen] = own * labels[chosen] + (1 - own) * self.labels[partners]

    def drawn(self, streams: Streams) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The own share of each window, 0.5 to 1, and the number of its partner."""
        words = draw(streams, 2, first=1)
        shares = _upper_beta((words[:, 0] >> np.uint64(11)).astype(np.float64) * 2.0**-53, self.alpha)
        count = self.source.shape[0] if self._numbers is None else len(self._numbers)
        places = choices(words[:, 1], count)
        return shares, places if self._numbers is None else self._numbers[places]

    def described(self) -> dict[str, Any]:
        """What an archive records of it."""
        count = self.source.shape[0] if self._numbers is None else len(self._numbers)
        parameters = {"alpha": self.alpha, "partner_count": count, "probability": self.probability}
        return {"operation": "mixing", **parameters, "source": self.source.described()}


def _partner_numbers(partners: Any, count: int) -> NDArray[np.int64] | None:
    if partners is None and 1 <= count <= MAXIMAL_CHOICES:
        return None
    numbers = np.arange(0) if partners is None else np.asarray(partners)
    if numbers.ndim != 1 or not len(numbers) or numbers.dtype.kind not in "iu":
        raise ArgumentError(f"Received partners={partners!r} of {count} windows. Expected numbers of windows.")
    if numbers.min() < 0 or numbers.max() >= count:
        raise ArgumentError(f"Received partners {numbers.min()} to {numbers.max()}. Expected 0 to {count - 1}.")
    return numbers.astype(np.int64)


def _upper_beta(shares: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) as the larger of x and 1 - x, x being distributed as Beta(alpha, alpha)."""
    probabilities, quantiles = _beta_table(alpha)
    return np.asarray(1 - np.interp(shares, probabilities, quantiles))


@functools.cache
def _beta_table(alpha: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The distribution of the smaller of x and 1 - x: probabilities 0 to 1, and quantiles 0 to 1/2.

    By the trapezoid rule over t = x**alpha where alpha is below 1, so that the density is finite at 0 too.
    """
    power = min(alpha, 1)
    t = np.linspace(0, 0.5**power, TABLE_STEPS + 1)
    x = t ** (1 / power)
    density = x ** (alpha - power) * (1 - x) ** (alpha - 1)
    total = np.concatenate([[0], np.cumsum(density[1:] + density[:-1])])
    return total / total[-1], x

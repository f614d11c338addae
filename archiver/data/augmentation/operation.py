"""What every operation on windows has in common."""

from __future__ import annotations

import dataclasses
import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.augmentation.streams import Streams
from archiver.errors import ArgumentError

Floats = NDArray[Any]
"""A batch in float32 or float64, shape (batch, channels, samples)."""


@dataclass(frozen=True, eq=False)
class Operation(ABC):
    """Changes some windows of a batch. One's own: a frozen dataclass whose fields are its parameters.

    Args:
        probability: of a window to be changed at all.

    Raises:
        ArgumentError: a parameter is out of its range.
    """

    probability: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        require_range("probability", self.probability, 0, 1)

    @abstractmethod
    def change(self, batch: Floats, chosen: NDArray[np.int64], streams: Streams) -> None:
        """Change the windows `batch[chosen]` in place; draws from 1 on are the operation's own.

        Args:
            batch: the whole batch, a copy of the caller's.
            chosen: places in the batch, ascending, at least one.
            streams: the random numbers of the chosen windows, in the same order.
        """

    def change_labels(  # noqa: B027 - most operations have nothing to do here
        self, labels: NDArray[Any], chosen: NDArray[np.int64], streams: Streams
    ) -> None:
        """Change `labels[chosen]` in place, from the same draws as the windows; most operations leave labels alone."""

    def described(self) -> dict[str, Any]:
        """What an archive records of it: its name and parameters."""
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()
        parameters = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return {"operation": name} | parameters


def require_range(name: str, value: Any, low: float, high: float = math.inf) -> None:
    """Refuse what is not a finite number from `low` to `high`.

    Raises:
        ArgumentError: it is not.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not low <= value <= high:
        limit = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"
        raise ArgumentError(f"Received {name}={value!r}. Expected a number {limit}.")


def require_whole(name: str, value: Any, low: int, high: int | None = None) -> None:
    """Refuse what is not a whole number from `low` to `high`.

    Raises:
        ArgumentError: it is not.
    """
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or value < low or (high is not None and value > high):
        limit = f"from {low} to {high}" if high is not None else f"of at least {low}"
        raise ArgumentError(f"Received {name}={value!r}. Expected a whole number {limit}.")

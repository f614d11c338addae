"""Sampler of what the backend's own allocator says of its memory. The backend is asked by a function from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from archiver.sampling.columns import Cell, Column, plain_name


class AllocatorReading(NamedTuple):
    """The memory of one device, as the allocator counts it."""

    current_bytes: int
    peak_bytes: int


AllocatorStatistics = Callable[[], Mapping[str, AllocatorReading]]
"""By device (`GPU:0`), what the allocator says now. The devices are the same in every call."""


class BackendSampler:
    """The allocator of TensorFlow, JAX or torch.

    Args:
        ask: the function; one that raises when it is first called makes the backend unavailable, with the reason.
    """

    def __init__(self, ask: AllocatorStatistics) -> None:
        self.unavailable: dict[str, str] = {}
        self._ask = ask
        self._devices: tuple[str, ...] = ()
        try:
            self._devices = tuple(ask())
        except Exception as error:  # noqa: BLE001 - the backend's own errors, of any class
            self.unavailable["backend_..."] = f"{type(error).__name__}: {error}"
        self.columns = tuple(column for device in self._devices for column in _columns(device))

    def sample(self) -> dict[str, AllocatorReading]:
        """Ask now."""
        return dict(self._ask()) if self._devices else {}

    def cells(self, reading: Mapping[str, AllocatorReading]) -> tuple[Cell, ...]:
        """The reading as numbers, one for each of `columns`."""
        nothing: tuple[Cell, Cell] = (None, None)
        return tuple(cell for device in self._devices for cell in reading.get(device, nothing))

    def close(self) -> None:
        """Nothing is held open."""


def _columns(device: str) -> tuple[Column, Column]:
    name = f"backend_{plain_name(device)}"
    return (
        Column(f"{name}_bytes", "memory", f"{device}: in use, as the backend's allocator counts", is_key=True),
        Column(f"{name}_peak_bytes", "memory", f"{device}: largest use, as the backend's allocator counts"),
    )

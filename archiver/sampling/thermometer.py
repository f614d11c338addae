"""The temperatures that cooling goes by."""

from __future__ import annotations

from typing import NamedTuple

from archiver.sampling.gpus import GpuSampler
from archiver.sampling.temperature import TemperatureSampler


class Temperatures(NamedTuple):
    """The hottest sensors, in degrees Celsius; None: no sensor tells."""

    cpu: float | None
    gpu: float | None


class Thermometer:
    """Reads the temperatures that cooling goes by.

    Args:
        sensors: of the kernel.
        gpus: NVIDIA's.
    """

    def __init__(self, sensors: TemperatureSampler | None = None, gpus: GpuSampler | None = None) -> None:
        self._sensors = sensors if sensors is not None else TemperatureSampler()
        self._gpus = gpus if gpus is not None else GpuSampler()
        self.unavailable = self._sensors.unavailable | self._gpus.unavailable

    def read(self) -> Temperatures:
        """How hot it is now."""
        reading = self._sensors.sample()
        gpus = [reading.gpu_celsius, *self._gpus.celsius()]
        return Temperatures(reading.cpu_celsius, max((each for each in gpus if each is not None), default=None))

    def close(self) -> None:
        """Give back what is held open."""
        self._sensors.close()
        self._gpus.close()

"""Sampler of temperatures: the kernel's hardware monitors and thermal zones; psutil where there are none of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from archiver.sampling.columns import Cell, Column, plain_name
from archiver.sampling.kept import KeptFile, kept, whole_number

Part = Literal["cpu", "gpu", "other"]

CPU_DRIVERS = ("coretemp", "k8temp", "k10temp", "zenpower", "via_cputemp", "cpu", "soc", "scpi", "x86_pkg_temp")
GPU_DRIVERS = ("amdgpu", "radeon", "nouveau", "xe", "i915", "gpu")
MAXIMAL_SENSORS = 64
PLAUSIBLE_CELSIUS = (-50, 150)
"""Sensors that are not wired tell nonsense, such as -128 or 255."""


@dataclass(frozen=True)
class Sensor:
    """One thermometer."""

    name: str
    """As part of a column's name, unique."""
    part: Part
    file: KeptFile


class TemperatureReading(NamedTuple):
    """One sample, in degrees Celsius. None: no sensor of that part answered."""

    cpu_celsius: float | None
    """The hottest sensor of the processor."""
    gpu_celsius: float | None
    """The hottest sensor of a GPU that the kernel itself knows; NVIDIA's are in `archiver.sampling.gpus`."""
    sensor_celsius: tuple[float | None, ...]
    """Every sensor."""


NOTHING = TemperatureReading(None, None, ())
_HOTTEST: dict[Part, Column] = {
    "cpu": Column("cpu_celsius", "temperature", "the hottest sensor of the processor", is_key=True),
    "gpu": Column("gpu_celsius", "temperature", "the hottest sensor of a GPU that is not NVIDIA's", is_key=True),
}


class TemperatureSampler:
    """All sensors that the kernel shows.

    Args:
        folder: where the kernel shows them.
    """

    def __init__(self, folder: str | Path = "/sys") -> None:
        self.unavailable: dict[str, str] = {}
        self.sensors = tuple(find_sensors(Path(folder)))
        self._is_portable = not self.sensors and str(folder) == "/sys" and bool(_portable())
        parts = {sensor.part for sensor in self.sensors} | (set(_portable()) if self._is_portable else set())
        if not parts:
            self.unavailable["cpu_celsius"] = "the kernel shows no temperature sensor, as in most virtual machines"
        elif "cpu" not in parts:
            self.unavailable["cpu_celsius"] = "none of the sensors is the processor's"
        self._hottest_of: tuple[Part, ...] = tuple(part for part in ("cpu", "gpu") if part in parts)
        self.columns = (
            *(_HOTTEST[part] for part in self._hottest_of),
            *(Column(f"{sensor.name}_celsius", "temperature", sensor.file.path) for sensor in self.sensors),
        )

    def sample(self) -> TemperatureReading:
        """Measure now."""
        if self._is_portable:
            readings = _portable()
            return TemperatureReading(readings.get("cpu"), readings.get("gpu"), ())
        if not self.sensors:
            return NOTHING
        values = tuple(_celsius(sensor.file) for sensor in self.sensors)
        return TemperatureReading(self._hottest("cpu", values), self._hottest("gpu", values), values)

    def _hottest(self, part: Part, values: tuple[float | None, ...]) -> float | None:
        found = (value for sensor, value in zip(self.sensors, values, strict=True) if sensor.part == part)
        return max((value for value in found if value is not None), default=None)

    def cells(self, reading: TemperatureReading) -> tuple[Cell, ...]:
        """The reading as numbers, one for each of `columns`."""
        hottest = {"cpu": reading.cpu_celsius, "gpu": reading.gpu_celsius}
        return (*(hottest[part] for part in self._hottest_of), *reading.sensor_celsius)

    def close(self) -> None:
        """Give the descriptors back."""
        for sensor in self.sensors:
            sensor.file.close()


def find_sensors(folder: Path) -> Iterator[Sensor]:
    """The sensors below a folder like /sys, at most `MAXIMAL_SENSORS`."""
    used: set[str] = set()
    for name, driver, path in (*_monitors(folder), *_zones(folder)):
        file = kept(path)
        if file is None or len(used) == MAXIMAL_SENSORS:
            continue
        unique = name if name not in used else f"{name}_{len(used)}"
        used.add(unique)
        yield Sensor(unique, _part(driver), file)


def _monitors(folder: Path) -> Iterator[tuple[str, str, Path]]:
    for monitor in sorted((folder / "class" / "hwmon").glob("hwmon*")):
        driver = _text(monitor / "name") or monitor.name
        for path in sorted(monitor.glob("temp*_input")):
            number = path.name.removesuffix("_input")
            label = _text(monitor / f"{number}_label") or number
            yield plain_name(f"{driver} {label}"), driver, path


def _zones(folder: Path) -> Iterator[tuple[str, str, Path]]:
    for zone in sorted((folder / "class" / "thermal").glob("thermal_zone*")):
        kind = _text(zone / "type") or zone.name
        yield plain_name(kind), kind, zone / "temp"


def _part(driver: str) -> Part:
    name = driver.lower()
    if name.startswith(CPU_DRIVERS):
        return "cpu"
    return "gpu" if name.startswith(GPU_DRIVERS) else "other"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _celsius(file: KeptFile) -> float | None:
    thousandths = whole_number(file)
    if thousandths is None or not PLAUSIBLE_CELSIUS[0] < thousandths / 1000 < PLAUSIBLE_CELSIUS[1]:
        return None
    return thousandths / 1000


def _portable() -> dict[Part, float]:
    """The hottest sensor by part, as psutil says, where it says anything."""
    import psutil

    found: dict[Part, float] = {}
    sensors_temperatures = getattr(psutil, "sensors_temperatures", dict)
    for driver, sensors in sensors_temperatures().items():
        part = _part(driver)
        found[part] = max(found.get(part, PLAUSIBLE_CELSIUS[0]), *(sensor.current for sensor in sensors))
    return found

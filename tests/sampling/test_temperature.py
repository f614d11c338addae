"""Temperatures: a tree of files like the kernel's, which the test drives."""

from __future__ import annotations

import os

import pytest

from archiver.sampling.temperature import TemperatureSampler


class FakeSys:
    """`class/hwmon` and `class/thermal` of a machine."""

    def __init__(self, folder):
        self.folder = folder

    def sensor(self, monitor, driver, number, celsius, label=None):
        folder = self.folder / "class" / "hwmon" / monitor
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "name").write_text(driver + "\n")
        if label:
            (folder / f"temp{number}_label").write_text(label + "\n")
        return self.set(folder / f"temp{number}_input", celsius)

    def zone(self, number, kind, celsius):
        folder = self.folder / "class" / "thermal" / f"thermal_zone{number}"
        folder.mkdir(parents=True)
        (folder / "type").write_text(kind + "\n")
        return self.set(folder / "temp", celsius)

    @staticmethod
    def set(path, celsius):
        path.write_text(f"{round(celsius * 1000)}\n")
        return path


@pytest.fixture
def fake_sys(tmp_path):
    return FakeSys(tmp_path)


def test_the_hottest_of_each_part(fake_sys):
    package = fake_sys.sensor("hwmon0", "coretemp", 1, 60, "Package id 0")
    fake_sys.sensor("hwmon0", "coretemp", 2, 61.5, "Core 0")
    fake_sys.sensor("hwmon1", "amdgpu", 1, 71, "edge")
    fake_sys.sensor("hwmon2", "nvme", 1, 90)
    fake_sys.zone(0, "x86_pkg_temp", 59)
    fake_sys.zone(1, "acpitz", 95)
    sampler = TemperatureSampler(fake_sys.folder)
    assert [column.name for column in sampler.columns] == [
        "cpu_celsius", "gpu_celsius", "coretemp_package_id_0_celsius", "coretemp_core_0_celsius",
        "amdgpu_edge_celsius", "nvme_temp1_celsius", "x86_pkg_temp_celsius", "acpitz_celsius",
    ]  # fmt: skip
    assert sampler.cells(sampler.sample()) == (61.5, 71, 60, 61.5, 71, 90, 59, 95)
    assert sampler.unavailable == {}
    fake_sys.set(package, 99.25)
    assert sampler.sample().cpu_celsius == 99.25
    sampler.close()


def test_two_of_the_same_name(fake_sys):
    fake_sys.sensor("hwmon0", "k10temp", 1, 50, "Tctl")
    fake_sys.sensor("hwmon1", "k10temp", 1, 55, "Tctl")
    sampler = TemperatureSampler(fake_sys.folder)
    names = [column.name for column in sampler.columns]
    assert len(set(names)) == len(names) == 3
    assert sampler.sample().cpu_celsius == 55
    sampler.close()


@pytest.mark.parametrize("nonsense", [-128, 255, 1000])
def test_a_sensor_that_is_not_wired(fake_sys, nonsense):
    fake_sys.sensor("hwmon0", "coretemp", 1, nonsense)
    sampler = TemperatureSampler(fake_sys.folder)
    assert sampler.sample().cpu_celsius is None
    sampler.close()


def test_a_sensor_that_stops_answering(fake_sys):
    path = fake_sys.sensor("hwmon0", "coretemp", 1, 50)
    fake_sys.sensor("hwmon0", "coretemp", 2, 40)
    sampler = TemperatureSampler(fake_sys.folder)
    path.write_text("")
    assert sampler.cells(sampler.sample()) == (40, None, 40)
    sampler.close()


def test_none_at_all_and_none_of_the_processor(fake_sys, tmp_path):
    sampler = TemperatureSampler(tmp_path / "nothing")
    assert (sampler.columns, sampler.cells(sampler.sample())) == ((), ())
    assert "no temperature sensor" in sampler.unavailable["cpu_celsius"]
    fake_sys.zone(0, "acpitz", 40)
    sampler = TemperatureSampler(fake_sys.folder)
    assert [column.name for column in sampler.columns] == ["acpitz_celsius"]
    assert sampler.unavailable["cpu_celsius"] == "none of the sensors is the processor's"
    sampler.close()


def test_descriptors_are_given_back(fake_sys):
    fake_sys.sensor("hwmon0", "coretemp", 1, 50)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        TemperatureSampler(fake_sys.folder).close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_this_machine():
    sampler = TemperatureSampler()
    reading = sampler.sample()
    assert len(sampler.cells(reading)) == len(sampler.columns)
    assert (reading.cpu_celsius is None) <= ("cpu_celsius" in sampler.unavailable or bool(sampler.sensors))
    sampler.close()

"""Cooling breaks, with the sensors of a machine that the test heats and cools."""

from __future__ import annotations

import threading
import time

import pytest

from archiver.errors import ArgumentError
from archiver.records.telemetry import CoolingSummary
from archiver.sampling import cooling
from archiver.sampling.cooling import Cooler
from archiver.sampling.cooling_policy import CoolingPolicy
from archiver.sampling.temperature import TemperatureSampler
from archiver.sampling.thermometer import Temperatures, Thermometer
from tests.sampling.test_temperature import FakeSys

FAST = {"check_seconds": 0.005, "minimal_work_seconds": 0.0, "maximal_pause_seconds": 10.0}


@pytest.fixture
def machine(tmp_path):
    """(thermometer, set the processor's temperature, set the GPU's)."""
    fake = FakeSys(tmp_path)
    cpu, gpu = fake.sensor("hwmon0", "coretemp", 1, 50), fake.sensor("hwmon1", "amdgpu", 1, 45)
    thermometer = Thermometer(TemperatureSampler(tmp_path))
    yield thermometer, lambda celsius: fake.set(cpu, celsius), lambda celsius: fake.set(gpu, celsius)
    thermometer.close()


def test_pauses_until_it_is_cool(machine):
    thermometer, heat_cpu, heat_gpu = machine
    told, course = [], iter([50, 86, 82, 76, 71, 70, 70])

    def read():
        heat_cpu(next(course))
        return thermometer.read()

    cooler = Cooler(CoolingPolicy(80, 75, 70, **FAST), read, told.append)
    assert cooler.break_if_hot() is None
    time.sleep(0.006)
    begin = time.monotonic()
    done = cooler.break_if_hot()
    seconds = time.monotonic() - begin
    assert (done.cause, done.ended_by) == ("cpu", "cool")
    assert (done.cpu_before_celsius, done.cpu_after_celsius, done.gpu_before_celsius) == (86, 70, 45)
    assert 4 * 0.005 <= done.duration_seconds <= seconds
    assert told == cooler.breaks == [done]
    time.sleep(0.006)
    heat_gpu(75)
    assert cooler.break_if_hot() is None, "at the limit is not above it"
    summary = cooler.summary()
    assert CoolingSummary.model_validate_json(summary.model_dump_json()) == summary
    assert (summary.break_count, summary.cooled_count, summary.mean_drop_celsius) == (1, 1, 16)
    assert summary.drop_celsius_per_minute == pytest.approx(16 / done.duration_seconds * 60)
    assert 0 < summary.share_of_time <= 1
    cpu, gpu = summary.targets
    assert (cpu.limit_celsius, cpu.resume_celsius, cpu.highest_celsius, cpu.is_kept) == (80, 70, 86, False)
    assert (gpu.limit_celsius, gpu.resume_celsius, gpu.highest_celsius, gpu.is_kept) == (75, 65, 75, True)
    assert 2 * 0.005 <= cpu.above_limit_seconds < done.duration_seconds
    assert gpu.above_limit_seconds == 0


def test_the_longest_pause_is_kept_to(machine):
    thermometer, heat_cpu, heat_gpu = machine
    heat_cpu(99)
    heat_gpu(99)
    cooler = Cooler(CoolingPolicy(**FAST | {"maximal_pause_seconds": 0.1}), thermometer.read)
    assert cooler.pause_seconds() == 0.1
    cooler = Cooler(CoolingPolicy(**FAST | {"maximal_pause_seconds": 0.1}), thermometer.read)
    done = cooler.break_if_hot()
    assert (done.cause, done.ended_by) == ("cpu and gpu", "maximal_pause")
    assert 0.1 <= done.duration_seconds < 2
    assert cooler.summary().cooled_count == 0


def test_a_sensor_that_falls_silent_is_not_taken_for_cool():
    course = iter(
        [Temperatures(95.0, 40.0), Temperatures(None, 40.0), Temperatures(None, None), Temperatures(70.0, None)]
    )
    cooler = Cooler(CoolingPolicy(**FAST), lambda: next(course))
    done = cooler.break_if_hot()
    assert (done.ended_by, done.cpu_after_celsius) == ("cool", 70)


def test_between_two_breaks_there_is_time_to_work(machine):
    thermometer, heat_cpu, _ = machine
    heat_cpu(99)
    quick = FAST | {"maximal_pause_seconds": 0.01, "minimal_work_seconds": 60}
    cooler = Cooler(CoolingPolicy(**quick), thermometer.read)
    assert cooler.break_if_hot() is not None
    time.sleep(0.01)
    assert cooler.break_if_hot() is None
    assert cooler.pause_seconds() == 0


def test_a_break_ends_when_the_training_does(machine):
    thermometer, heat_cpu, _ = machine
    heat_cpu(99)
    stop = threading.Event()
    cooler = Cooler(CoolingPolicy(**FAST), thermometer.read, stop=stop)
    threading.Timer(0.05, stop.set).start()
    assert cooler.break_if_hot().ended_by == "stopped"
    time.sleep(0.01)
    assert cooler.break_if_hot() is None


def test_the_sensors_are_asked_no_more_often_than_the_policy_says():
    asked = []

    def read():
        asked.append(time.monotonic())
        return Temperatures(40.0, None)

    cooler = Cooler(CoolingPolicy(check_seconds=60), read)
    for _ in range(10_000):
        cooler.break_if_hot()
    assert len(asked) == 1


def test_without_sensors_nothing_happens_and_the_summary_says_so():
    cooler = Cooler(CoolingPolicy(), lambda: Temperatures(None, None))
    assert cooler.break_if_hot() is None
    summary = cooler.summary()
    assert (summary.break_count, summary.mean_drop_celsius, summary.drop_celsius_per_minute) == (0, None, None)
    assert [(target.highest_celsius, target.is_kept) for target in summary.targets] == [(None, None)] * 2


def test_many_breaks_stay_bounded(machine, monkeypatch):
    thermometer, heat_cpu, _ = machine
    heat_cpu(99)
    monkeypatch.setattr(cooling, "MAXIMAL_BREAKS_KEPT", 3)
    cooler = Cooler(CoolingPolicy(check_seconds=0.001, maximal_pause_seconds=0.001, minimal_work_seconds=0),
                    thermometer.read)  # fmt: skip
    for _ in range(5):
        time.sleep(0.002)
        cooler.break_if_hot()
    assert len(cooler.breaks) == 3
    assert cooler.summary().break_count == 5


def test_defaults():
    policy = CoolingPolicy()
    assert (policy.resume("cpu"), policy.resume("gpu")) == (80, 75)
    assert CoolingPolicy(gpu_limit_celsius=None).resume("gpu") is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"cpu_limit_celsius": 0}, {"cpu_limit_celsius": -1}, {"cpu_limit_celsius": 126}, {"cpu_limit_celsius": True},
        {"gpu_limit_celsius": float("nan")}, {"gpu_limit_celsius": "80"}, {"cpu_resume_celsius": 90},
        {"cpu_resume_celsius": 0}, {"gpu_limit_celsius": None, "gpu_resume_celsius": 50},
        {"maximal_pause_seconds": 0}, {"maximal_pause_seconds": float("inf")}, {"check_seconds": -1},
        {"minimal_work_seconds": -1},
    ],
)  # fmt: skip
def test_bad_input(arguments):
    with pytest.raises(ArgumentError, match="Received"):
        CoolingPolicy(**arguments)

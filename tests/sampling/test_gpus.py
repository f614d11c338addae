"""GPUs, through the real pynvml: a driver library written in C stands in where there is no driver.

The library is found the way the real one is, by the dynamic loader, in a process of its own. Without a C compiler these
tests are skipped, and only the behaviour without a GPU is tested.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archiver.errors import ArgumentError
from archiver.machine.nvml import may_have_gpus
from archiver.sampling.gpus import GpuSampler, throttle_names

SOURCE = Path(__file__).parent / "fake_nvml.c"
COMPILER = shutil.which("gcc") or shutil.which("cc")
needs_compiler = pytest.mark.skipif(COMPILER is None or may_have_gpus(), reason="no C compiler, or a real driver")

PREAMBLE = """
import os, sys
def say(**values):
    name = os.environ["FAKE_NVML"]
    with open(name + ".new", "w") as file:
        file.write("".join(f"{key} {value}\\n" for key, value in values.items()))
    os.replace(name + ".new", name)  # the driver may be read in another thread
GIB = 1 << 30
state = dict(used=30 * GIB, own=20 * GIB, utilisation=97, memory_utilisation=41, milliwatts=612500, celsius=77,
             sm_megahertz=1980, memory_megahertz=3201, reasons=0x24)
say(**state)
from archiver.sampling.gpus import GpuReading, GpuSampler
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("nvml")
    target = folder / "libnvidia-ml.so.1"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", target, SOURCE], check=True)
    return folder


@pytest.fixture
def run(library, tmp_path):
    def run_code(code: str) -> str:
        environment = os.environ | {"LD_LIBRARY_PATH": str(library), "FAKE_NVML": str(tmp_path / "state")}
        command = [sys.executable, "-c", PREAMBLE + code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_code


@needs_compiler
def test_every_value_in_its_unit(run):
    run("""
sampler = GpuSampler()
assert sampler.indices == (0, 1) and sampler.total_bytes == (80 * GIB, 80 * GIB)
first, second = sampler.sample()
assert first == GpuReading(30 * GIB, 20 * GIB, 97.0, 41.0, 612.5, 1.98e9, 3.201e9, 0x24, 77.0), first
assert second == GpuReading(GIB, *(None,) * 8), second
names = [column.name for column in sampler.columns]
assert dict(zip(names, sampler.cells((first, second))))["gpu_0_power_watts"] == 612.5
assert sampler.unavailable["gpu_1_celsius"] == "Not Supported"
assert not any(name.startswith("gpu_0") for name in sampler.unavailable)
say(**state | {"celsius": 91})
assert sampler.celsius() == [91.0, None] and sampler.sample()[0].celsius == 91.0
assert sampler.memory_bytes() == 21 * GIB
sampler.close()
""")


@needs_compiler
def test_a_device_that_is_lost_on_the_way(run):
    run("""
sampler = GpuSampler([0])
sampler.sample()
say(lost=1)
(reading,) = sampler.sample()
assert reading == GpuReading(*(None,) * 9)
assert sampler.unavailable["gpu_0_used_bytes"] == "GPU is lost"
sampler.close()
""")


@needs_compiler
def test_an_index_that_does_not_exist(run):
    output = run("""
for wrong in ([2], [-1], [True], [0, 7]):
    try:
        GpuSampler(wrong)
    except ValueError as error:
        print(error)
""")
    assert output.splitlines() == [f"Received GPU index {wrong}. Expected 0 to 1." for wrong in (2, -1, True, 7)]


@needs_compiler
def test_a_driver_that_does_not_answer(run):
    run("""
say(dead=1)
sampler = GpuSampler()
assert sampler.columns == () and sampler.sample() == ()
assert "does not answer" in sampler.unavailable["gpu_..."]
""")


@needs_compiler
def test_after_a_fork_the_driver_is_left_alone(run):
    run("""
sampler = GpuSampler()
child = os.fork()
if child == 0:
    silent = sampler.sample() == (GpuReading(*(None,) * 9),) * 2 and sampler.memory_bytes() == 0
    sampler.close()
    os._exit(0 if silent else 1)
assert os.waitpid(child, 0)[1] == 0
assert sampler.sample()[0].celsius == 77
""")


@needs_compiler
def test_the_memory_monitor_and_the_thermometer_see_it(run):
    run("""
from archiver import MemoryMonitor
from archiver.sampling.thermometer import Thermometer
monitor = MemoryMonitor(gpu_threshold_mb=22 * 1024, auto_cleanup=False)
assert monitor.gpu_unavailable is None
assert not monitor.check_and_cleanup("before").is_over_threshold
say(**state | {"own": 24 * GIB})
assert monitor.check_and_cleanup("after").is_over_threshold
summary = monitor.get_memory_summary()
assert (summary["gpu_max_mb"], summary["gpu_avg_mb"]) == (25 * 1024, 23 * 1024), summary
assert Thermometer().read().gpu == 77
try:
    MemoryMonitor(gpu_threshold_mb=200 * 1024)
except ValueError as error:
    assert "Expected at most 163840" in str(error)
""")


@needs_compiler
def test_a_cooling_break_for_a_gpu(run):
    """Too hot between two batches: the next one waits until the driver says that it is cool, or long enough."""
    run("""
import threading, time
from archiver.sampling.cooling import Cooler
from archiver.sampling.cooling_policy import CoolingPolicy
from archiver.sampling.temperature import TemperatureSampler
from archiver.sampling.thermometer import Thermometer
thermometer = Thermometer(TemperatureSampler("/nowhere"))
def cooler(**arguments):
    policy = CoolingPolicy(None, 80, None, 70, check_seconds=0.001, minimal_work_seconds=0, **arguments)
    return Cooler(policy, thermometer.read)
patient = cooler(maximal_pause_seconds=60)
pauses = []
for batch in range(6):
    if batch == 3:
        say(**state | {"celsius": 93})
        threading.Timer(0.2, say, (), state | {"celsius": 75}).start()
        threading.Timer(0.4, say, (), state | {"celsius": 69}).start()
    time.sleep(0.002)
    pauses.append(patient.break_if_hot())
assert [pause is not None for pause in pauses] == [False, False, False, True, False, False], pauses
pause = pauses[3]
assert (pause.cause, pause.ended_by) == ("gpu", "cool"), pause
assert (pause.gpu_before_celsius, pause.gpu_after_celsius, pause.cpu_before_celsius) == (93, 69, None), pause
assert pause.duration_seconds > 0.3, "75 is below the limit, and too hot to go on"
summary = patient.summary()
assert (summary.break_count, summary.cooled_count, summary.mean_drop_celsius) == (1, 1, 24)
gpu = summary.targets[-1]
assert (gpu.limit_celsius, gpu.resume_celsius, gpu.highest_celsius, gpu.is_kept) == (80, 70, 93, False), gpu
assert 0 < gpu.above_limit_seconds < pause.duration_seconds
say(**state | {"celsius": 93})
hasty = cooler(maximal_pause_seconds=0.05)
pause = hasty.break_if_hot()
assert (pause.ended_by, pause.gpu_after_celsius) == ("maximal_pause", 93) and pause.duration_seconds >= 0.05
assert hasty.summary().cooled_count == 0
say(lost=1)
time.sleep(0.002)
assert hasty.break_if_hot() is None, "a GPU that does not answer is not known to be hot"
""")


@pytest.mark.skipif(may_have_gpus(), reason="there is an NVIDIA driver")
def test_without_a_driver():
    sampler = GpuSampler()
    assert (sampler.sample(), sampler.columns, sampler.indices) == ((), (), ())
    assert sampler.unavailable == {"gpu_...": "no NVIDIA driver was found"}
    with pytest.raises(ArgumentError, match=r"Received GPU index 0\. Expected none: no NVIDIA driver was found"):
        GpuSampler([0])


@pytest.mark.skipif(not may_have_gpus(), reason="needs an NVIDIA driver")
def test_the_real_driver():
    sampler = GpuSampler()
    for reading, total in zip(sampler.sample(), sampler.total_bytes, strict=True):
        assert 0 <= reading.used_bytes <= total
        assert reading.celsius is None or 0 < reading.celsius < 120
    with pytest.raises(ArgumentError):
        GpuSampler([999])
    sampler.close()


def test_reasons_in_words():
    assert throttle_names(0x24) == ("software power cap", "software thermal slowdown")
    assert throttle_names(0) == ()

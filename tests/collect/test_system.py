"""The machine and the process, checked against what the system says by other ways."""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from archiver.collect import processor
from archiver.collect.processor import collect_cpu_details, collect_processor
from archiver.collect.system import collect_disk, collect_system
from archiver.records.base import Unavailable
from archiver.records.environment import DiskPart, SystemRecord

CODE = "from archiver.collect.system import collect_system; print(collect_system().model_dump_json(by_alias=True))"


def in_a_process(*options: str, **variables: str) -> SystemRecord:
    completed = subprocess.run(
        [sys.executable, *options, "-c", CODE], env=os.environ | variables, check=True, capture_output=True
    )
    return SystemRecord.model_validate_json(completed.stdout)


def test_values_against_the_truth(tmp_path: Path) -> None:
    record = collect_system(tmp_path / "not" / "yet", framework={"backend": "jax"})
    assert record.operating_system.system == platform.system()
    assert record.machine.host_name == socket.gethostname()
    assert record.machine.architecture == os.uname().machine
    assert record.processor.logical_cores == os.cpu_count()
    assert record.processor.usable_cores == len(os.sched_getaffinity(0))
    assert record.memory.total_bytes == psutil.virtual_memory().total  # type: ignore[union-attr]
    disk = record.disks["archive"]
    assert isinstance(disk, DiskPart)
    assert disk.total_bytes == shutil.disk_usage(tmp_path).total
    assert record.process.process_id == os.getpid()
    assert record.process.parents[0] == psutil.Process(os.getppid()).name()  # type: ignore[index]
    assert abs(record.process.started.timestamp() - psutil.Process().create_time()) < 1  # type: ignore[union-attr]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert (record.process.limits["open_files"].soft, record.process.limits["open_files"].hard) == (soft, hard)
    assert record.python.version == platform.python_version()
    assert len(record.python.path) == len(sys.path)
    assert record.framework == {"backend": "jax"}
    assert record.cpu_details == Unavailable(unavailable="was not asked for")


@pytest.mark.skipif(not shutil.which("df"), reason="needs df")
def test_the_type_of_the_file_system(tmp_path: Path) -> None:
    expected = subprocess.run(["df", "--output=fstype", tmp_path], check=True, capture_output=True, text=True)
    disk = collect_disk(tmp_path)
    assert isinstance(disk, DiskPart)
    assert disk.file_system == expected.stdout.split()[-1]


def test_the_record_survives_being_written(tmp_path: Path) -> None:
    for details in (None, {"brand_raw": "x", "flags": ["a"]}, Unavailable(unavailable="why")):
        record = collect_system(tmp_path, cpu_details=details)
        assert SystemRecord.model_validate_json(record.model_dump_json(by_alias=True)) == record


def test_it_is_quick(tmp_path: Path) -> None:
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        collect_system(tmp_path)
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.03


def test_interpreter_switches_and_environment() -> None:
    record = in_a_process("-O", "-Ximporttime=0", PYTHONHASHSEED="42", CUDA_VISIBLE_DEVICES="1", HF_TOKEN="hunter2")
    assert record.python.hash_seed == 42
    assert record.python.flags["optimize"] == 1
    assert record.python.options == {"importtime": "0"}
    assert record.environment["CUDA_VISIBLE_DEVICES"] == "1"
    assert "hunter2" not in record.model_dump_json()
    assert in_a_process("-I", PYTHONHASHSEED="42").python.hash_seed == "random"
    assert in_a_process(PYTHONHASHSEED="0").python.hash_seed == 0


def test_a_hash_seed_set_too_late_is_not_believed() -> None:
    late = f"import os; os.environ['PYTHONHASHSEED'] = '7'; {CODE}"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    completed = subprocess.run([sys.executable, "-c", late], env=environment, check=True, capture_output=True)
    assert SystemRecord.model_validate_json(completed.stdout).python.hash_seed == "random"


def test_no_name_of_a_user_and_no_secret(tmp_path: Path) -> None:
    home = tmp_path / "homes" / "ada-lovelace"
    home.mkdir(parents=True)
    environment = os.environ | {
        "HOME": str(home), "USER": "ada-lovelace", "LOGNAME": "ada-lovelace", "PYTHONPATH": str(home / "lib"),
        "TF_CONFIG": "https://ada:hunter2@h/",
    }  # fmt: skip
    script = home / "train.py"
    script.write_text(CODE)
    completed = subprocess.run(
        [sys.executable, script, "--password", "hunter2"], cwd=home, env=environment, check=True, capture_output=True
    )
    assert b"ada-lovelace" not in completed.stdout
    assert b"hunter2" not in completed.stdout
    record = SystemRecord.model_validate_json(completed.stdout)
    assert record.process.working_directory == "~"
    assert record.process.command.target == "~/train.py"  # type: ignore[union-attr]
    assert "~/lib" in record.python.path


def test_heavy_modules_are_not_imported() -> None:
    code = (
        "import sys; from archiver.collect import system, packages, git, source; system.collect_system();"
        "heavy = ('git', 'pynvml', 'keras', 'tensorflow', 'numpy', 'matplotlib');"
        "print([name for name in heavy if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    assert loaded in ("[]", "['pynvml']")
    if not (os.path.exists("/proc/driver/nvidia") or os.path.exists("/dev/nvidiactl")):
        assert loaded == "[]"


def test_details_of_the_cpu_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo.py").write_text("raise SystemExit('the wrong module')")
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)
    details = collect_cpu_details()
    assert isinstance(details, dict), details
    assert details["count"] == os.cpu_count()
    assert details["bits"] == 64


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="needs Linux")
def test_the_details_take_only_time_that_nobody_else_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen by the child itself: a program that tells how it runs stands in for the interpreter."""
    code = "import os, time; time.sleep(0.5); print('[%d, %d]' % (os.nice(0), os.sched_getscheduler(0)))"
    output = processor._run([sys.executable, "-c", code], 60)
    assert json.loads(output) == [19, os.SCHED_IDLE]


def test_details_of_the_cpu_that_do_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    children = {child.pid for child in psutil.Process().children(recursive=True)}
    details = collect_cpu_details(timeout_seconds=0.01)
    assert isinstance(details, Unavailable)
    assert "TimeoutExpired" in details.unavailable
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= children
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert isinstance(collect_cpu_details(), Unavailable)
    monkeypatch.setattr(sys, "executable", "")
    assert isinstance(collect_cpu_details(), Unavailable)


@pytest.mark.skipif(not os.path.exists("/proc/cpuinfo"), reason="needs Linux")
def test_flags_and_model_as_the_kernel_writes_them() -> None:
    text = Path("/proc/cpuinfo").read_text()
    found = collect_processor()
    if isinstance(found.model, str):
        assert found.model in text
    if not isinstance(found.flags, Unavailable):
        assert f" {found.flags[0]} " in text.replace("\n", " ")
        assert list(found.flags) == sorted(found.flags)

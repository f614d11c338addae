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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import archiver
from archiver.collect import processor
from archiver.collect.memory import collect_memory
from archiver.collect.processor import (
    cache_sizes,
    collect_cpu_details,
    collect_processor,
    cpu_details_once,
    numa_nodes,
)
from archiver.collect.system import collect_disk, collect_system
from archiver.records.base import Unavailable
from archiver.records.environment import SystemRecord
from archiver.records.machine import DiskPart
from archiver.testing.framework import framework_part

ROOT = Path(archiver.__file__).parents[1]
CODE = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); from archiver.collect.system import collect_system;"
    "print(collect_system().model_dump_json(by_alias=True))"
)


def in_a_process(*options: str, **variables: str) -> SystemRecord:
    completed = subprocess.run(
        [sys.executable, *options, "-c", CODE], env=os.environ | variables, check=True, capture_output=True
    )
    return SystemRecord.model_validate_json(completed.stdout)


def test_values_against_the_truth(tmp_path: Path) -> None:
    record = collect_system(tmp_path / "not" / "yet", framework=framework_part())
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
    assert members(record.processor.usable_core_list) == os.sched_getaffinity(0)
    assert record.process.nice == os.nice(0)
    assert record.process.thread_count == psutil.Process().num_threads()
    assert record.process.open_file_count == pytest.approx(psutil.Process().num_fds(), abs=1)
    assert record.process.rss_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
    assert record.process.oom_score_adjustment == int(Path("/proc/self/oom_score_adj").read_text())
    assert record.python.virtual_environment == ("venv" if sys.prefix != sys.base_prefix else None)
    assert record.python.warning_options == tuple(sys.warnoptions)
    assert "pytest" in record.machine.runs_in
    assert record.framework == framework_part()
    assert record.cpu_details == Unavailable(unavailable="was not asked for")


def members(ranges: object) -> set[int]:
    pieces = [piece.split("-") for piece in str(ranges).split(",")]
    return {number for piece in pieces for number in range(int(piece[0]), int(piece[-1]) + 1)}


@pytest.mark.skipif(not shutil.which("lscpu"), reason="needs lscpu")
def test_the_processor_against_lscpu() -> None:
    output = subprocess.run(["lscpu", "--json"], check=True, capture_output=True, env={"LC_ALL": "C"}).stdout

    def fields(nodes: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
        for node in nodes:
            yield node["field"].rstrip(":"), node["data"]
            yield from fields(node.get("children", []))

    truth = dict(fields(json.loads(output)["lscpu"]))
    part = collect_processor()
    assert part.model == truth["Model name"]
    if "Socket(s)" in truth:
        assert part.sockets == int(truth["Socket(s)"])
    if "CPU family" in truth:
        assert part.family_model_stepping == (truth["CPU family"], truth["Model"], truth["Stepping"])
    if "NUMA node0 CPU(s)" in truth:
        assert members(part.numa_nodes[0].cores) == members(truth["NUMA node0 CPU(s)"])  # type: ignore[index]


def test_caches_and_nodes_as_the_kernel_lists_them(tmp_path: Path) -> None:
    for index, (level, kind, size) in enumerate(
        (("1", "Data", "48K"), ("1", "Instruction", "32K"), ("3", "Unified", "96M"))
    ):
        folder = tmp_path / "cache" / f"index{index}"
        folder.mkdir(parents=True)
        for name, text in (("level", level), ("type", kind), ("size", size)):
            (folder / name).write_text(text + "\n")
    assert cache_sizes(tmp_path) == {"L1 data": 48 << 10, "L1 instruction": 32 << 10, "L3": 96 << 20}
    for number, cores in ((0, "0-15"), (10, "16-31")):
        (tmp_path / f"node{number}").mkdir()
        (tmp_path / f"node{number}" / "cpulist").write_text(cores + "\n")
        (tmp_path / f"node{number}" / "meminfo").write_text(f"Node {number} MemTotal:       1024 kB\n")
    assert [(node.node, node.cores, node.memory_bytes) for node in numa_nodes(tmp_path)] == [
        (0, "0-15", 1 << 20), (10, "16-31", 1 << 20),
    ]  # fmt: skip


def test_how_the_kernel_deals_with_memory(tmp_path: Path) -> None:
    for name, text in {
        "proc/pressure/memory": "some avg10=1.25 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.00\n",
        "proc/sys/vm/nr_hugepages": "16\n", "proc/sys/vm/swappiness": "60\n", "proc/sys/vm/overcommit_memory": "2\n",
        "sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    part = collect_memory(tmp_path)
    assert (part.pressure_percent, part.transparent_huge_pages, part.overcommit) == (1.25, "always", "never")
    assert (part.huge_pages_reserved, part.swappiness) == (16, 60)
    nothing = collect_memory(tmp_path / "none")
    assert isinstance(nothing.transparent_huge_pages, Unavailable)
    assert isinstance(nothing.overcommit, Unavailable)


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


def test_details_of_the_cpu_are_asked_for_until_they_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "_details", [])
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/nowhere/python")
        assert isinstance(cpu_details_once(), Unavailable)
    known = cpu_details_once()
    assert isinstance(known, dict)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert cpu_details_once() is known


@pytest.mark.skipif(not os.path.exists("/proc/cpuinfo"), reason="needs Linux")
def test_flags_and_model_as_the_kernel_writes_them() -> None:
    text = Path("/proc/cpuinfo").read_text()
    found = collect_processor()
    if isinstance(found.model, str):
        assert found.model in text
    if not isinstance(found.flags, Unavailable):
        assert f" {found.flags[0]} " in text.replace("\n", " ")
        assert list(found.flags) == sorted(found.flags)

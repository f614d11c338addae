"""Limits of control groups: trees of files as the kernel shows them in containers and batch jobs."""

from __future__ import annotations

from pathlib import Path

from archiver.machine.cgroups import collect_control_group, core_limit, memory_limit_bytes
from archiver.records.base import Unavailable
from archiver.records.machine import ControlGroupPart

GIB = 1 << 30


def process_files(folder: Path, cgroup: str, mountinfo: str) -> Path:
    process = folder / "proc"
    process.mkdir()
    (process / "cgroup").write_text(cgroup)
    (process / "mountinfo").write_text(mountinfo)
    return process


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_version_2_takes_the_smallest_of_the_hierarchy(tmp_path: Path) -> None:
    mount = tmp_path / "cgroup"
    write(mount / "job" / "step" / "memory.max", "max\n")
    write(mount / "job" / "memory.max", f"{2 * GIB}\n")
    write(mount / "memory.max", f"{8 * GIB}\n")
    write(mount / "job" / "step" / "cpu.max", "150000 100000\n")
    write(mount / "job" / "cpu.max", "max 100000\n")
    process = process_files(tmp_path, "0::/job/step\n", f"30 24 0:26 / {mount} rw - cgroup2 cgroup2 rw\n")
    assert memory_limit_bytes(process) == 2 * GIB
    assert core_limit(process) == 1.5


def test_version_1_in_a_container_that_sees_the_path_of_the_host(tmp_path: Path) -> None:
    mount = tmp_path / "memory"
    write(mount / "memory.limit_in_bytes", f"{3 * GIB}\n")
    cpu = tmp_path / "cpu"
    write(cpu / "cpu.cfs_quota_us", "-1\n")
    write(cpu / "cpu.cfs_period_us", "100000\n")
    process = process_files(
        tmp_path,
        "11:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n",
        f"35 31 0:32 /docker/abc {mount} ro - cgroup cgroup rw,memory\n"
        f"36 31 0:33 /docker/abc {cpu} ro - cgroup cgroup rw,cpu,cpuacct\n",
    )
    assert memory_limit_bytes(process) == 3 * GIB
    assert core_limit(process) is None


def test_version_1_without_a_limit(tmp_path: Path) -> None:
    mount = tmp_path / "memory"
    write(mount / "a" / "memory.limit_in_bytes", "9223372036854771712\n")
    process = process_files(
        tmp_path, "4:memory:/a\n0::/\n",
        f"35 31 0:32 / {mount} rw - cgroup cgroup rw,memory\n36 31 0:33 / {tmp_path} rw - cgroup2 cgroup2 rw\n",
    )  # fmt: skip
    assert memory_limit_bytes(process) is None


def test_no_control_groups_and_broken_files(tmp_path: Path) -> None:
    assert memory_limit_bytes(tmp_path) is None
    assert core_limit(tmp_path) is None
    mount = tmp_path / "cgroup"
    write(mount / "memory.max", "nonsense\n")
    write(mount / "cpu.max", "1 0\n")
    process = process_files(tmp_path, "0::/\nrubbish\n", f"rubbish\n30 24 0:26 / {mount} rw - cgroup2 cgroup2 rw\n")
    assert memory_limit_bytes(process) is None
    assert core_limit(process) is None


def test_this_machine() -> None:
    limit = memory_limit_bytes()
    assert limit is None or limit > 0


def test_what_else_version_2_says(tmp_path: Path) -> None:
    mount = tmp_path / "cgroup"
    write(mount / "job" / "step" / "memory.current", f"{GIB}\n")
    write(mount / "job" / "step" / "memory.high", "max\n")
    write(mount / "job" / "memory.high", f"{3 * GIB}\n")
    write(mount / "job" / "memory.swap.max", "0\n")
    write(mount / "job" / "pids.max", "512\n")
    write(mount / "job" / "step" / "cpuset.cpus.effective", "0-3,8\n")
    write(mount / "job" / "step" / "memory.events", "low 0\nhigh 7\nmax 0\noom 3\noom_kill 2\noom_group_kill 0\n")
    process = process_files(tmp_path, "0::/job/step\n", f"30 24 0:26 / {mount} rw - cgroup2 cgroup2 rw\n")
    assert collect_control_group(process) == ControlGroupPart(
        version=2, memory_used_bytes=GIB, memory_throttle_bytes=3 * GIB, swap_limit_bytes=0, process_limit=512,
        cores="0-3,8", killed_for_memory=2,
    )  # fmt: skip


def test_what_else_version_1_says(tmp_path: Path) -> None:
    memory, pids = tmp_path / "memory", tmp_path / "pids"
    write(memory / "memory.usage_in_bytes", "4096\n")
    write(memory / "memory.memsw.limit_in_bytes", f"{5 * GIB}\n")
    write(memory / "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    write(pids / "pids.max", "max\n")
    process = process_files(
        tmp_path,
        "11:memory:/\n8:pids:/\n",
        f"35 31 0:32 / {memory} ro - cgroup cgroup rw,memory\n36 31 0:33 / {pids} ro - cgroup cgroup rw,pids\n",
    )
    part = collect_control_group(process)
    assert isinstance(part, ControlGroupPart)
    assert (part.version, part.memory_used_bytes, part.swap_limit_bytes) == (1, 4096, 5 * GIB)
    assert (part.process_limit, part.killed_for_memory) == (None, 1)
    assert isinstance(part.cores, Unavailable)


def test_no_control_groups(tmp_path: Path) -> None:
    assert isinstance(collect_control_group(tmp_path), Unavailable)

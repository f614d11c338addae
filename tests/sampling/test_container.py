"""Control groups: trees of files as the kernel shows them, and the one of this machine."""

from __future__ import annotations

from pathlib import Path

from archiver.machine.cgroups import memory_groups
from archiver.sampling import container
from archiver.sampling.container import ContainerSampler
from archiver.sampling.memory_sources import ContainerMemory

GIB = 1 << 30
MIB = 1 << 20


def write(path: Path, text: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def version_2(folder: Path) -> tuple[Path, Path]:
    """A process in `job/step`, the job limited to 2 GiB, and the folder of the groups."""
    mount = folder / "cgroup"
    for group, limit, used in (("", 8 * GIB, 5 * GIB), ("job", 2 * GIB, 1 * GIB), ("job/step", "max", GIB // 2)):
        write(mount / group / "memory.max", limit)
        write(mount / group / "memory.current", used)
        write(mount / group / "memory.peak", used + MIB)
        write(
            mount / group / "memory.stat",
            f"anon {used // 2}\nfile {used // 4}\ninactive_file {100 * MIB}\nactive_file {50 * MIB}",
        )
        write(mount / group / "memory.pressure", "some avg10=1.50 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00")
    process = folder / "proc"
    write(process / "cgroup", "0::/job/step")
    write(process / "mountinfo", f"30 24 0:26 / {mount} rw - cgroup2 cgroup2 rw")
    return process, mount


def version_1(folder: Path) -> Path:
    mount = folder / "memory"
    write(mount / "memory.limit_in_bytes", 3 * GIB)
    write(mount / "memory.usage_in_bytes", GIB)
    write(mount / "memory.max_usage_in_bytes", 2 * GIB)
    write(mount / "memory.stat", f"active_file 1\ntotal_inactive_file {200 * MIB}\ntotal_active_file {24 * MIB}")
    process = folder / "proc"
    write(process / "cgroup", "11:memory:/docker/abc\n0::/")
    write(process / "mountinfo", f"35 31 0:32 /docker/abc {mount} ro - cgroup cgroup rw,memory")
    return process


def test_version_2_follows_the_group_with_the_smallest_limit(tmp_path):
    process, _ = version_2(tmp_path)
    sampler = ContainerSampler(process)
    reading = sampler.sample()
    assert reading == (GIB, GIB - 150 * MIB, GIB + MIB, 2 * GIB, 1.5)
    assert sampler.unavailable == {}
    assert len(sampler.cells(reading)) == len(sampler.columns)
    sampler.close()


def test_a_limit_that_changes_and_details_that_are_measured_now_and_then(tmp_path, monkeypatch):
    process, mount = version_2(tmp_path)
    sampler = ContainerSampler(process)
    sampler.sample()
    write(mount / "job/memory.current", GIB + 7)
    assert sampler.sample() == (GIB + 7, None, None, 2 * GIB, None)
    write(mount / "job/step/memory.max", GIB)
    sampler._limit_pace._next = sampler._details._next = 0.0
    assert sampler.sample()[:4] == (GIB // 2, GIB // 2 - 150 * MIB, GIB // 2 + MIB, GIB)
    sampler.close()


def test_version_1(tmp_path):
    sampler = ContainerSampler(version_1(tmp_path))
    assert sampler.sample() == (GIB, GIB - 224 * MIB, 2 * GIB, 3 * GIB, None)
    assert "memory.pressure" in sampler.unavailable["memory_pressure_percent"]
    sampler.close()


def test_no_control_groups(tmp_path):
    sampler = ContainerSampler(tmp_path)
    assert sampler.cells(sampler.sample()) == ()
    assert sampler.columns == ()
    assert list(sampler.unavailable) == ["container_..."]
    sampler.close()
    memory = ContainerMemory(tmp_path)
    assert (memory.limit_bytes, memory.used_bytes(), memory.working_set_bytes()) == (None, None, None)


def test_this_machine():
    sampler = ContainerSampler()
    reading = sampler.sample()
    groups = [group for group in memory_groups() if group.usage.exists()]
    if groups:
        assert reading.container_used_bytes > 0
        assert reading.container_working_set_bytes <= reading.container_used_bytes
        assert reading.container_limit_bytes == min(
            (limit for group in groups if (limit := group.limit_bytes()) is not None), default=None
        )
    else:
        assert reading == container.NOTHING
    sampler.close()

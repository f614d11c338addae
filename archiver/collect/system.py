"""The machine, the operating system and the process, as they are when a training begins."""

from __future__ import annotations

import os
import platform
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from archiver.collect.command import collect_command, recordable, working_directory
from archiver.collect.gpus import collect_gpus
from archiver.collect.interpreter import collect_python
from archiver.collect.processor import collect_cpu_details, collect_processor
from archiver.collect.redaction import allowed_environment
from archiver.machine.cgroups import memory_limit_bytes
from archiver.records.base import Json, Unavailable, local_offset_seconds, utc_now
from archiver.records.environment import (
    DiskPart,
    LimitPart,
    MachinePart,
    MemoryPart,
    OperatingSystemPart,
    ProcessPart,
    SystemRecord,
    TimeZonePart,
)

__all__ = ["collect_cpu_details", "collect_disk", "collect_system"]

T = TypeVar("T")

_CONTAINER_FILES = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}
_CONTAINER_VARIABLES = {
    "KUBERNETES_SERVICE_HOST": "kubernetes",
    "APPTAINER_NAME": "apptainer",
    "SINGULARITY_NAME": "singularity",
}
_CONTAINER_GROUPS = ("kubepods", "docker", "podman", "lxc", "containerd", "garden")

_LIMITS = {
    "address_space": "RLIMIT_AS",
    "core_file": "RLIMIT_CORE",
    "cpu_seconds": "RLIMIT_CPU",
    "data": "RLIMIT_DATA",
    "file_size": "RLIMIT_FSIZE",
    "locked_memory": "RLIMIT_MEMLOCK",
    "open_files": "RLIMIT_NOFILE",
    "processes": "RLIMIT_NPROC",
    "resident_set": "RLIMIT_RSS",
    "stack": "RLIMIT_STACK",
}


def collect_system(
    archive_folder: Path | None = None,
    framework: Json = None,
    cpu_details: dict[str, Json] | Unavailable | None = None,
) -> SystemRecord:
    """Everything about the machine that can be had in a few milliseconds; where there is an NVIDIA driver, add the
    time that it takes to wake up.

    Args:
        archive_folder: whose file system is to be described, if the archive is known already.
        framework: the configuration of Keras and its backend, as plain JSON.
        cpu_details: what `collect_cpu_details` returned, which takes too long to wait for here.
    """
    not_asked = Unavailable(unavailable="was not asked for")
    return SystemRecord(
        collected=utc_now(),
        operating_system=_operating_system(),
        machine=_machine(),
        processor=collect_processor(),
        cpu_details=not_asked if cpu_details is None else cpu_details,
        memory=_attempt(_memory),
        load_averages=_attempt(os.getloadavg),
        disks={
            "archive": collect_disk(archive_folder) if archive_folder else not_asked,
            "working_directory": _attempt(lambda: collect_disk(Path.cwd())),
        },
        gpus=collect_gpus(),
        process=_process(),
        python=collect_python(),
        environment=allowed_environment(os.environ),
        time_zone=TimeZonePart(name=time.strftime("%Z"), offset_seconds=local_offset_seconds()),
        framework=framework,
    )


def _attempt(function: Callable[[], T]) -> T | Unavailable:
    """What `function` returns, or why it could not be had."""
    import psutil

    try:
        return function()
    except (OSError, psutil.Error, ValueError, KeyError, AttributeError, NotImplementedError, Warning) as error:
        return Unavailable(unavailable=f"{type(error).__name__}: {recordable(str(error))}")


def _operating_system() -> OperatingSystemPart:
    return OperatingSystemPart(
        system=platform.system(),
        release=platform.release(),
        version=platform.version(),
        distribution=_attempt(_distribution),
        libc=" ".join(platform.libc_ver()).strip() or Unavailable(unavailable="the C library does not tell"),
    )


def _distribution() -> str:
    if platform.system() == "Darwin":
        return f"macOS {platform.mac_ver()[0]}"
    return platform.freedesktop_os_release()["PRETTY_NAME"]


def _machine() -> MachinePart:
    return MachinePart(
        architecture=platform.machine(),
        host_name=socket.gethostname(),
        boot_id=_attempt(lambda: Path("/proc/sys/kernel/random/boot_id").read_text().strip()),
        boot_time=_attempt(_boot_time),
        container=_container(),
        virtual_machine=_virtual_machine(),
    )


def _boot_time() -> datetime:
    import psutil

    return datetime.fromtimestamp(psutil.boot_time(), UTC)


def _container() -> str | None:
    for path, name in _CONTAINER_FILES.items():
        if os.path.exists(path):
            return name
    for variable, name in _CONTAINER_VARIABLES.items():
        if variable in os.environ:
            return name
    named = _text_of("/run/systemd/container")
    if named:
        return named
    groups = _text_of("/proc/1/cgroup") + _text_of("/proc/self/cgroup")
    return next((name for name in _CONTAINER_GROUPS if name in groups), None)


def _virtual_machine() -> str | None:
    if "microsoft" in platform.release().lower():
        return "WSL"
    names = [_text_of(f"/sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name")]
    is_virtual = " hypervisor" in _text_of("/proc/cpuinfo", 16 << 10) or _text_of("/sys/hypervisor/type")
    if not is_virtual:
        return None
    return " ".join(filter(None, names)) or _text_of("/sys/hypervisor/type") or "unknown hypervisor"


def _text_of(path: str, maximal_bytes: int = 1 << 16) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(maximal_bytes).decode(errors="replace").strip()
    except OSError:
        return ""


def _memory() -> MemoryPart:
    import psutil

    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return MemoryPart(
        total_bytes=memory.total,
        available_bytes=memory.available,
        swap_total_bytes=swap.total,
        swap_free_bytes=swap.free,
        container_limit_bytes=memory_limit_bytes(),
    )


def collect_disk(folder: Path) -> DiskPart | Unavailable:
    """The file system of `folder`; of its nearest parent while it does not exist yet."""
    existing = next((each for each in (folder.absolute(), *folder.absolute().parents) if each.exists()), folder)
    return _attempt(lambda: _disk(existing))


def _disk(folder: Path) -> DiskPart:
    status = os.statvfs(folder)
    return DiskPart(
        path=recordable(str(folder)),
        file_system=_attempt(lambda: _file_system(folder)),
        total_bytes=status.f_blocks * status.f_frsize,
        used_bytes=(status.f_blocks - status.f_bfree) * status.f_frsize,
        available_bytes=status.f_bavail * status.f_frsize,
    )


def _file_system(folder: Path) -> str:
    """The type, by the device's number: mount points are ambiguous, one may lie over another."""
    device = os.stat(folder).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        if before.split(" ")[2] == wanted:
            return after.split(" ")[0]
    raise ValueError("the kernel's table of mounts does not list it")


def _process() -> ProcessPart:
    return ProcessPart(
        process_id=os.getpid(),
        started=_attempt(_started),
        executable=_attempt(lambda: recordable(os.readlink("/proc/self/exe"))),
        command=collect_command(),
        working_directory=working_directory(),
        parents=_attempt(_parents),
        limits=_limits(),
    )


def _started() -> datetime:
    import psutil

    return datetime.fromtimestamp(psutil.Process().create_time(), UTC)


def _parents() -> tuple[str, ...]:
    import psutil

    return tuple(recordable(parent.name()) for parent in psutil.Process().parents())


def _limits() -> dict[str, LimitPart]:
    try:
        import resource
    except ImportError:
        return {}
    limits = {}
    for name, constant in _LIMITS.items():
        if hasattr(resource, constant):
            soft, hard = resource.getrlimit(getattr(resource, constant))
            unlimited = resource.RLIM_INFINITY
            limits[name] = LimitPart(soft=None if soft == unlimited else soft, hard=None if hard == unlimited else hard)
    return limits

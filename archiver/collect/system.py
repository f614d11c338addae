"""The machine, the operating system and the process, as they are when a training begins."""

from __future__ import annotations

import os
import platform
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

from archiver.collect.attempts import attempt, text_of
from archiver.collect.command import recordable
from archiver.collect.gpus import collect_gpus, collect_pci_devices
from archiver.collect.interpreter import collect_python
from archiver.collect.libraries import collect_numeric_libraries
from archiver.collect.memory import collect_memory
from archiver.collect.process import collect_process
from archiver.collect.processor import collect_cpu_details, collect_processor
from archiver.collect.surroundings import collect_container, runs_in, virtual_machine
from archiver.collect.variables import allowed_environment
from archiver.records.base import Json, Unavailable, local_offset_seconds, utc_now
from archiver.records.environment import SystemRecord, TimeZonePart
from archiver.records.framework import FrameworkPart
from archiver.records.machine import DiskPart, GpusPart, MachinePart, NumericLibrariesPart, OperatingSystemPart

__all__ = ["collect_cpu_details", "collect_disk", "collect_gpus", "collect_numeric_libraries", "collect_system"]


def collect_system(
    archive_folder: Path | None = None,
    framework: FrameworkPart | None = None,
    cpu_details: dict[str, Json] | Unavailable | None = None,
    gpus: GpusPart | Unavailable | None = None,
    numeric_libraries: NumericLibrariesPart | Unavailable | None = None,
) -> SystemRecord:
    """Everything about the machine; but for what can be given, it takes a few milliseconds.

    Args:
        archive_folder: whose file system is to be described, if the archive is known already.
        framework: Keras and its backend.
        cpu_details: what `collect_cpu_details` returned, which takes too long to wait for here.
        gpus: what `collect_gpus` returned; None asks it, which can take as long as the driver takes to wake up.
        numeric_libraries: what `collect_numeric_libraries` returned; None asks it.
    """
    not_asked = Unavailable(unavailable="was not asked for")
    return SystemRecord(
        collected=utc_now(),
        operating_system=_operating_system(),
        machine=_machine(),
        processor=collect_processor(),
        cpu_details=not_asked if cpu_details is None else cpu_details,
        memory=attempt(collect_memory),
        load_averages=attempt(os.getloadavg),
        disks={
            "archive": collect_disk(archive_folder) if archive_folder else not_asked,
            "working_directory": attempt(lambda: collect_disk(Path.cwd())),
        },
        gpus=collect_gpus() if gpus is None else gpus,
        pci_devices=collect_pci_devices(),
        numeric_libraries=collect_numeric_libraries() if numeric_libraries is None else numeric_libraries,
        process=collect_process(),
        python=collect_python(),
        environment=allowed_environment(os.environ),
        time_zone=TimeZonePart(name=time.strftime("%Z"), offset_seconds=local_offset_seconds()),
        framework=not_asked if framework is None else framework,
    )


def _operating_system() -> OperatingSystemPart:
    return OperatingSystemPart(
        system=platform.system(),
        release=platform.release(),
        version=platform.version(),
        distribution=attempt(_distribution),
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
        container=collect_container(),
        virtual_machine=virtual_machine(),
        runs_in=runs_in(),
        boot_time=attempt(_boot_time),
        boot_id=attempt(lambda: Path("/proc/sys/kernel/random/boot_id").read_text().strip()),
    )


def _boot_time() -> datetime:
    import psutil

    return datetime.fromtimestamp(psutil.boot_time(), UTC)


def collect_disk(folder: Path) -> DiskPart | Unavailable:
    """The file system of `folder`; of its nearest parent while it does not exist yet."""
    existing = next((each for each in (folder.absolute(), *folder.absolute().parents) if each.exists()), folder)
    return attempt(lambda: _disk(existing))


def _disk(folder: Path) -> DiskPart:
    status = os.statvfs(folder)
    return DiskPart(
        path=recordable(str(folder)),
        file_system=attempt(lambda: _file_system(folder)),
        total_bytes=status.f_blocks * status.f_frsize,
        used_bytes=(status.f_blocks - status.f_bfree) * status.f_frsize,
        available_bytes=status.f_bavail * status.f_frsize,
        is_rotational=attempt(lambda: _is_rotational(folder)),
    )


def _is_rotational(folder: Path) -> bool:
    """A partition's disk is the folder above it."""
    device = os.stat(folder).st_dev
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    answers = [text_of(each / "queue/rotational") for each in (block, block / "..")]
    answer = next(filter(None, answers), None)
    if answer is None:
        raise ValueError("it is no disk of this machine, or one that does not tell")
    return answer == "1"


def _file_system(folder: Path) -> str:
    """The type, by the device's number: mount points are ambiguous, one may lie over another."""
    device = os.stat(folder).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        if before.split(" ")[2] == wanted:
            return after.split(" ")[0]
    raise ValueError("the kernel's table of mounts does not list it")

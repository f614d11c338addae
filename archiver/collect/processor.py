"""The CPU: what the kernel tells at once, and what py-cpuinfo finds out in a second or two."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from archiver.machine.cgroups import core_limit
from archiver.records.base import Json, Unavailable
from archiver.records.environment import ProcessorPart

FIRST_PROCESSOR_BYTES = 16 << 10
"""The kernel makes /proc/cpuinfo while it is read: on hundreds of cores the whole file takes many milliseconds."""

DETAILS_TIMEOUT_SECONDS = 30.0

_FREQUENCIES = Path("/sys/devices/system/cpu/cpu0/cpufreq")


def collect_processor() -> ProcessorPart:
    """The CPU as the kernel describes it, in milliseconds."""
    fields = _first_processor()
    flags = fields.get("flags") or fields.get("Features")
    unknown = Unavailable(unavailable="the system does not tell")
    return ProcessorPart(
        model=fields.get("model name") or fields.get("Model") or fields.get("cpu model") or unknown,
        vendor=fields.get("vendor_id") or fields.get("CPU implementer") or unknown,
        physical_cores=_cores(logical=False),
        logical_cores=_cores(logical=True),
        usable_cores=_usable_cores(),
        container_core_limit=core_limit(),
        maximal_frequency_hertz=_kilohertz("cpuinfo_max_freq") or unknown,
        current_frequency_hertz=_kilohertz("scaling_cur_freq") or _megahertz(fields.get("cpu MHz", "")) or unknown,
        flags=tuple(sorted(flags.split())) if flags else unknown,
    )


def collect_cpu_details(timeout_seconds: float = DETAILS_TIMEOUT_SECONDS) -> dict[str, Json] | Unavailable:
    """What py-cpuinfo finds out. It takes a second or more and runs programs, so it has a process of its own; call this
    from a thread of yours."""
    if not sys.executable:
        return Unavailable(unavailable="Python is embedded: there is no interpreter to run py-cpuinfo with")
    # -P and the folder keep a cpuinfo.py of the user's from being taken for the library.
    command = [sys.executable, "-P", "-m", "cpuinfo", "--json"]
    try:
        output = _run(command, timeout_seconds)
        details = json.loads(output)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return Unavailable(unavailable=f"py-cpuinfo failed: {type(error).__name__}: {str(error)[:200]}")
    return details if isinstance(details, dict) else Unavailable(unavailable="py-cpuinfo wrote no JSON object")


def _run(command: list[str], timeout_seconds: float) -> bytes:
    with subprocess.Popen(
        command,
        cwd=os.path.abspath(os.sep),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout_seconds)
        except BaseException:
            with contextlib.suppress(OSError):  # its children too, which hold the pipe open
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command[2:])
    return output


def _first_processor() -> dict[str, str]:
    try:
        with open("/proc/cpuinfo", "rb", buffering=0) as file:
            text = file.read(FIRST_PROCESSOR_BYTES).decode(errors="replace")
    except OSError:
        return {}
    lines = re.findall(r"^([^:\n]*?)\s*:[ \t]*(.*)$", text.split("\n\n")[0], re.MULTILINE)
    return {name: value.strip() for name, value in lines}


def _cores(*, logical: bool) -> int | Unavailable:
    import psutil

    return psutil.cpu_count(logical=logical) or Unavailable(unavailable="the system does not tell")


def _usable_cores() -> int | Unavailable:
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return Unavailable(unavailable="the system has no affinities")


def _kilohertz(name: str) -> float | None:
    try:
        return int((_FREQUENCIES / name).read_text()) * 1e3
    except (OSError, ValueError):
        return None


def _megahertz(text: str) -> float | None:
    try:
        return float(text) * 1e6
    except ValueError:
        return None

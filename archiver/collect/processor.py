"""The CPU: what the kernel tells at once, and what py-cpuinfo finds out in a second or two."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from archiver.collect.attempts import UNTOLD, as_ranges, count_of_ranges, number_in, said_in, text_of
from archiver.machine.cgroups import core_limit
from archiver.records.base import Json, Unavailable
from archiver.records.machine import NumaNodePart, ProcessorPart

T = TypeVar("T")

FIRST_PROCESSOR_BYTES = 16 << 10
"""The kernel makes /proc/cpuinfo while it is read: on hundreds of cores the whole file takes many milliseconds."""

DETAILS_TIMEOUT_SECONDS = 120.0
"""It takes a second, of a CPU that may be busy with other things all the time."""

LOWEST_PRIORITY = 19

_DEVICES = Path("/sys/devices/system")
_FREQUENCIES = _DEVICES / "cpu/cpu0/cpufreq"

_details: list[dict[str, Json]] = []
"""What py-cpuinfo found in this process, once it did."""


def collect_processor() -> ProcessorPart:
    """The CPU as the kernel describes it, in milliseconds."""
    fields = _first_processor()
    flags = fields.get("flags") or fields.get("Features")
    return ProcessorPart(
        model=fields.get("model name") or fields.get("Model") or fields.get("cpu model") or UNTOLD,
        vendor=fields.get("vendor_id") or fields.get("CPU implementer") or UNTOLD,
        physical_cores=_cores(logical=False),
        logical_cores=_cores(logical=True),
        usable_cores=_usable(len),
        usable_core_list=_usable(as_ranges),
        container_core_limit=core_limit(),
        sockets=_sockets(),
        simultaneous_multithreading=_switch(_DEVICES / "cpu/smt/active"),
        maximal_frequency_hertz=_kilohertz("cpuinfo_max_freq") or UNTOLD,
        current_frequency_hertz=_kilohertz("scaling_cur_freq") or _megahertz(fields.get("cpu MHz", "")) or UNTOLD,
        frequency_governor=said_in(_FREQUENCIES / "scaling_governor"),
        turbo=_turbo(),
        cache_bytes=cache_sizes() or UNTOLD,
        numa_nodes=numa_nodes() or UNTOLD,
        family_model_stepping=_design(fields) or UNTOLD,
        microcode=fields.get("microcode") or UNTOLD,
        flags=tuple(sorted(flags.split())) if flags else UNTOLD,
    )


def _design(fields: dict[str, str]) -> tuple[str, str, str] | None:
    for names in (("cpu family", "model", "stepping"), ("CPU architecture", "CPU part", "CPU revision")):
        if all(name in fields for name in names):
            family, model, stepping = (str(int(fields[name], 0)) for name in names)
            return family, model, stepping
    return None


def _switch(path: Path, on: str = "1") -> bool | Unavailable:
    text = text_of(path)
    return text == on if text else UNTOLD


def _turbo() -> bool | Unavailable:
    """Intel's driver tells whether it is off, the others whether it is on."""
    off = _switch(_DEVICES / "cpu/intel_pstate/no_turbo", on="0")
    return _switch(_DEVICES / "cpu/cpufreq/boost") if isinstance(off, Unavailable) else off


def _sockets() -> int | Unavailable:
    """All cores over those of one socket: one file for each core would take milliseconds where there are hundreds."""
    topology = _DEVICES / "cpu/cpu0/topology"
    of_one = text_of(topology / "package_cpus_list") or text_of(topology / "core_siblings_list")
    online = text_of(_DEVICES / "cpu/online")
    return max(1, round(count_of_ranges(online) / count_of_ranges(of_one))) if of_one and online else UNTOLD


def cache_sizes(processor: Path = _DEVICES / "cpu/cpu0") -> dict[str, int]:
    """Bytes of each cache of a core, by level and kind."""
    sizes = {}
    for folder in sorted(processor.glob("cache/index[0-9]*")):
        kind = text_of(folder / "type").lower()
        name = f"L{text_of(folder / 'level')}" + ("" if kind == "unified" else f" {kind}")
        found = re.fullmatch(r"(\d+)([KM]?)", text_of(folder / "size"))
        if found:
            sizes[name] = int(found[1]) * {"": 1, "K": 1 << 10, "M": 1 << 20}[found[2]]
    return sizes


def numa_nodes(folder: Path = _DEVICES / "node") -> tuple[NumaNodePart, ...]:
    """The nodes of memory, with their cores; empty where the kernel knows none."""
    nodes = []
    for node in sorted(folder.glob("node[0-9]*"), key=lambda each: int(each.name[4:])):
        total = re.search(r"MemTotal:\s*(\d+) kB", text_of(node / "meminfo"))
        memory = int(total[1]) * 1024 if total else UNTOLD
        nodes.append(NumaNodePart(node=int(node.name[4:]), cores=text_of(node / "cpulist"), memory_bytes=memory))
    return tuple(nodes)


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


def cpu_details_once() -> dict[str, Json] | Unavailable:
    """`collect_cpu_details`, once in a process: folds and searches train many models, and the CPU stays the same."""
    if not _details:
        found = collect_cpu_details()
        if isinstance(found, Unavailable):
            return found
        _details.append(found)
    return _details[0]


def _run(command: list[str], timeout_seconds: float) -> bytes:
    with subprocess.Popen(
        command,
        cwd=os.path.abspath(os.sep),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        _yield_to_others(process.pid)
        try:
            output, _ = process.communicate(timeout=timeout_seconds)
        except BaseException:
            with contextlib.suppress(OSError):  # its children too, which hold the pipe open
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command[2:])
    return output


def _yield_to_others(process_id: int) -> None:
    """Let a process and its children have only the time of the CPU that nobody else wants: training does."""
    with contextlib.suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, process_id, LOWEST_PRIORITY)
    with contextlib.suppress(AttributeError, OSError):  # Linux alone has it
        os.sched_setscheduler(process_id, os.SCHED_IDLE, os.sched_param(0))


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

    return psutil.cpu_count(logical=logical) or UNTOLD


def _usable(describe: Callable[[set[int]], T]) -> T | Unavailable:
    try:
        return describe(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return Unavailable(unavailable="the system has no affinities")


def _kilohertz(name: str) -> float | None:
    number = number_in(_FREQUENCIES / name)
    return None if isinstance(number, Unavailable) else number * 1e3


def _megahertz(text: str) -> float | None:
    try:
        return float(text) * 1e6
    except ValueError:
        return None

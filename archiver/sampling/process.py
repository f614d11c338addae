"""Sampler of this process: memory, CPU, page faults, I/O, open files."""

from __future__ import annotations

import os
import time
from types import ModuleType
from typing import Any, NamedTuple

from archiver.sampling.columns import Cell, Column, Pace, Rate
from archiver.sampling.kept import KeptFile, kept, kibibytes
from archiver.sampling.peaks import STATUS, PeakMeter, why_inexact

resource: ModuleType | None
try:
    import resource
except ImportError:  # not a POSIX system
    resource = None

OPEN_FILES_SECONDS = 10.0
SHARES_SECONDS = 60.0
"""Dividing the memory into unique and shared pages takes the kernel 8 ms in a process with TensorFlow."""


class ProcessReading(NamedTuple):
    """One sample. None: not measured in this one, or not to be had here."""

    rss_bytes: int
    peak_rss_bytes: int
    anonymous_bytes: int | None
    swap_bytes: int | None
    uss_bytes: int | None
    pss_bytes: int | None
    cpu_percent: float | None
    thread_count: int
    minor_faults_per_second: float | None
    major_faults_per_second: float | None
    read_bytes_per_second: float | None
    written_bytes_per_second: float | None
    open_file_count: int | None


COLUMNS: tuple[Column, ...] = (
    Column("rss_bytes", "memory", "resident memory of the process", is_key=True),
    Column("peak_rss_bytes", "memory", "its largest value since the row before, caught by the kernel", is_key=True),
    Column("anonymous_bytes", "memory", "resident memory that no file backs", is_key=True),
    Column("swap_bytes", "memory", "memory of the process that was swapped out"),
    Column("uss_bytes", "memory", "memory that would be free if the process ended; measured now and then"),
    Column("pss_bytes", "memory", "resident memory, shared pages divided by who shares; measured now and then"),
    Column("cpu_percent", "utilisation", "CPU time of the process; 100 is one core", is_key=True),
    Column("thread_count", "utilisation", "threads of the process"),
    Column("minor_faults_per_second", "utilisation", "page faults served without I/O"),
    Column("major_faults_per_second", "utilisation", "page faults that needed I/O"),
    Column("read_bytes_per_second", "utilisation", "read by the process from storage"),
    Column("written_bytes_per_second", "utilisation", "written by the process to storage"),
    Column("open_file_count", "utilisation", "open descriptors; measured now and then"),
)


class ProcessSampler:
    """This process, through kept-open files of /proc; through psutil where there is no /proc."""

    columns: tuple[Column, ...] = COLUMNS

    def __init__(self, shares_seconds: float = SHARES_SECONDS) -> None:
        self.unavailable: dict[str, str] = {}
        self._peak = PeakMeter()
        self._cpu, self._minor, self._major, self._read, self._written = (Rate() for _ in range(5))
        self._open_files = Pace(OPEN_FILES_SECONDS)
        self._shares = Pace(shares_seconds)
        self._status = kept(STATUS)
        self._io = kept("/proc/self/io")
        self._rollup = _opened("/proc/self/smaps_rollup")
        self._note_what_lacks()

    def _note_what_lacks(self) -> None:
        if why_inexact():
            self.unavailable["peak_rss_bytes"] = f"{why_inexact()}; the largest value of a sample stands in"
        if self._status is None:
            self.unavailable["anonymous_bytes, swap_bytes"] = "only Linux tells, in /proc/self/status"
        if self._io is None:
            self.unavailable["read_bytes_per_second, written_bytes_per_second"] = "/proc/self/io cannot be read"
        if self._rollup is None:
            self.unavailable["uss_bytes, pss_bytes"] = "/proc/self/smaps_rollup cannot be read"

    def sample(self) -> ProcessReading:
        """Measure now.

        Raises:
            OSError: /proc does not answer any more.
        """
        now = time.monotonic()
        status = self._status.read() if self._status is not None else b""
        rss, anonymous, swap, threads = _memory(status) if status else _portable_memory()
        peak = self._peak.take_from(status, rss) if status else self._peak.take()
        uss, pss = self._shares_now() if self._shares.is_due(now) else (None, None)
        minor, major = _faults()
        read, written = _input_output(self._io)
        cpu = self._cpu.per_second(time.process_time(), now)
        return ProcessReading(
            rss_bytes=rss,
            peak_rss_bytes=peak,
            anonymous_bytes=anonymous,
            swap_bytes=swap,
            uss_bytes=uss,
            pss_bytes=pss,
            cpu_percent=None if cpu is None else cpu * 100,
            thread_count=threads,
            minor_faults_per_second=self._minor.per_second(minor, now),
            major_faults_per_second=self._major.per_second(major, now),
            read_bytes_per_second=self._read.per_second(read, now),
            written_bytes_per_second=self._written.per_second(written, now),
            open_file_count=_open_file_count() if self._open_files.is_due(now) else None,
        )

    def _shares_now(self) -> tuple[int | None, int | None]:
        try:
            data = self._rollup.read() if self._rollup is not None else b""
        except OSError:
            self._rollup, data = None, b""
            self._note_what_lacks()
        clean, dirty = kibibytes(data, b"Private_Clean:"), kibibytes(data, b"Private_Dirty:")
        uss = None if clean is None or dirty is None else clean + dirty
        return uss, kibibytes(data, b"\nPss:")

    @staticmethod
    def cells(reading: ProcessReading) -> tuple[Cell, ...]:
        """The reading as numbers, one for each of `columns`."""
        return reading

    def close(self) -> None:
        """Give the descriptors back."""
        for file in (self._status, self._io, self._rollup):
            if file is not None:
                file.close()


def _opened(path: str) -> KeptFile | None:
    """A file that takes ten milliseconds to read, and so is not read to see whether it can be."""
    try:
        return KeptFile(path)
    except OSError:
        return None


def _memory(status: bytes) -> tuple[int, int | None, int | None, int]:
    rss = kibibytes(status, b"VmRSS:") or 0
    start = status.index(b"Threads:") + 8
    threads = int(status[start : status.index(b"\n", start)])
    return rss, kibibytes(status, b"RssAnon:"), kibibytes(status, b"VmSwap:"), threads


def _portable_memory() -> tuple[int, None, None, int]:
    import psutil

    process = psutil.Process()
    return process.memory_info().rss, None, None, process.num_threads()


def _faults() -> tuple[int | None, int | None]:
    if resource is None:
        return None, None
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_minflt, usage.ru_majflt


def _input_output(file: KeptFile | None) -> tuple[int | None, int | None]:
    if file is None:
        return None, None
    data = file.read()
    start = data.index(b"read_bytes: ")
    words = data[start:].split(None, 4)
    return int(words[1]), int(words[3])


def _open_file_count() -> int | None:
    try:
        return len(os.listdir("/proc/self/fd")) - 1  # listing them is one itself
    except OSError:
        return _portable_file_count()


def _portable_file_count() -> int | None:
    import psutil

    process: Any = psutil.Process()
    return process.num_fds() if hasattr(process, "num_fds") else None

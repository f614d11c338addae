"""Hashing while the program is imported: the same digests, no file that nobody asks for, every fault still found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from archiver.archive.verifying import verify
from archiver.cores import usable_cores
from archiver.sealing import changing
from archiver.storage.digests import bytes_digests
from archiver.storage.hashing_ahead import MINIMAL_BYTES, PROCESSES_PER_CORE, HashingAhead
from archiver.testing import tiny_run

NAMES = ("large_0", "large_1", "large_2")
several_cores = pytest.mark.skipif(usable_cores() < 2, reason="with one core hardly anything is hashed ahead")


@pytest.fixture(autouse=True)
def no_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest's own, when several processes run the tests, do not matter."""
    monkeypatch.setattr(threading, "active_count", lambda: 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        (tmp_path / f"large_{number}").write_bytes(os.urandom(MINIMAL_BYTES + number))
    (tmp_path / "small").write_bytes(b"small")
    return tmp_path


def write_zeros(path: Path, size_bytes: int) -> None:
    """A file that takes as long to hash as any other of its size, and no room on the disk."""
    path.touch()
    os.truncate(path, size_bytes)


def children() -> list[int]:
    return [child.pid for child in psutil.Process().children()]


def is_running(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def hashed(ahead: HashingAhead, folder: Path) -> dict[str, dict[str, str]]:
    return dict(ahead.digests(NAMES, {name: (folder / name).stat().st_size for name in NAMES}))


@several_cores
def test_the_digests_are_those_of_the_bytes(folder: Path) -> None:
    before = children()
    ahead = HashingAhead(folder, ("blake3", "sha256"))
    assert ahead.paths == set(NAMES)
    found = hashed(ahead, folder)
    assert found == {name: bytes_digests((folder / name).read_bytes(), ("blake3", "sha256")) for name in NAMES}
    assert children() == before
    assert ahead.take() is None


@several_cores
@pytest.mark.parametrize("algorithm", ["blake3", "sha256", "md5"])
def test_each_algorithm_by_itself(folder: Path, algorithm: str) -> None:
    ahead = HashingAhead(folder, (algorithm,))
    assert hashed(ahead, folder) == {name: bytes_digests((folder / name).read_bytes(), (algorithm,)) for name in NAMES}


@pytest.mark.parametrize("algorithm", ["blake3", "sha256"])
def test_with_one_core_it_is_hashed_ahead_too(folder: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str) -> None:
    monkeypatch.setattr("archiver.storage.hashing_ahead.usable_cores", lambda: 1)
    assert set(hashed(HashingAhead(folder, (algorithm,)), folder)) == set(NAMES)


@several_cores
def test_a_file_that_becomes_shorter_is_left_to_the_caller(tmp_path: Path) -> None:
    """It is mapped, and what is no longer there ends the process that reads it."""
    write_zeros(tmp_path / "large", 1 << 30)
    ahead = HashingAhead(tmp_path, ("md5", "sha256"))  # which takes seconds
    process = psutil.Process(ahead._processes[0])
    while not any(each.path.endswith("/large") for each in process.memory_maps()):
        time.sleep(0.001)
    os.truncate(tmp_path / "large", 1)
    assert dict(ahead.digests({"large"}, {"large": 1 << 30})) == {}


@several_cores
def test_what_is_taken_is_hashed_by_nobody_else(folder: Path) -> None:
    for number in range(PROCESSES_PER_CORE * usable_cores()):
        write_zeros(folder / f"huge_{number}", 64 << 20)  # what the other processes are busy with
    ahead = HashingAhead(folder, ("md5",))
    taken = []
    while (path := ahead.take()) is not None:
        taken.append(path)
    found = hashed(ahead, folder)
    assert len(set(taken)) == len(taken)
    assert found.keys().isdisjoint(taken)
    assert set(NAMES) <= {*found, *taken}
    assert taken


@several_cores
def test_a_file_of_another_size_and_one_that_is_gone_are_left_out(folder: Path) -> None:
    ahead = HashingAhead(folder, ("blake3",))
    sizes = {name: (folder / name).stat().st_size for name in NAMES}
    found = dict(ahead.digests(NAMES, sizes | {"large_0": 1}))
    assert found.keys() == {"large_1", "large_2"}


@several_cores
def test_nobody_waits_for_a_file_that_is_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(os.urandom(MINIMAL_BYTES))
    write_zeros(tmp_path / "endless", 2 << 30)
    ahead = HashingAhead(tmp_path, ("md5",))
    began = time.monotonic()
    while ahead.take() is not None:
        pass
    assert not list(ahead.digests({"manifest-md5.txt"}, {}))
    assert time.monotonic() - began < 1
    assert ahead.paths == frozenset()


@several_cores
def test_processes_that_are_killed_leave_it_to_the_caller(folder: Path) -> None:
    ahead = HashingAhead(folder, ("blake3",))
    for process in ahead._processes:
        os.kill(process, signal.SIGKILL)
    time.sleep(0.05)
    while ahead.take() is not None:
        pass
    assert hashed(ahead, folder).keys() <= set(NAMES)


@several_cores
def test_they_end_with_the_process_that_needs_them(tmp_path: Path) -> None:
    write_zeros(tmp_path / "large", 2 << 30)
    script = """
import os, sys
from pathlib import Path
from archiver.storage.hashing_ahead import HashingAhead
print(HashingAhead(Path(sys.argv[1]), ("md5",))._processes[0], flush=True)
os.kill(os.getpid(), 9)
"""
    shown = subprocess.run([sys.executable, "-c", script, tmp_path], check=False, stdout=subprocess.PIPE).stdout
    deadline = time.monotonic() + 1  # hashing all of it takes longer
    while is_running(int(shown)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(int(shown))


def test_a_folder_that_is_none_is_nobodys_fault(tmp_path: Path) -> None:
    ahead = HashingAhead(tmp_path / "none", ("blake3",))
    assert ahead.take() is None
    assert list(ahead.digests({"a"}, {"a": 1})) == []


@pytest.mark.parametrize("algorithm", ["blake3", "sha256", "all"])
def test_the_command_finds_one_bit_in_a_large_file(tmp_path: Path, algorithm: str) -> None:
    run = tiny_run(tmp_path)
    with changing(run):
        (run.path / "files").mkdir(exist_ok=True)
        for number in range(3):
            (run.path / "files" / f"large_{number}.bin").write_bytes(os.urandom(MINIMAL_BYTES + 7))
    command = [sys.executable, "-m", "archiver", "verify", "--hash", algorithm, "--format", "json", str(run.path)]
    whole = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert whole[0]["findings"] == []
    damaged = run.path / "files" / "large_1.bin"
    with damaged.open("r+b") as file:
        file.seek(MINIMAL_BYTES)
        byte = file.read(1)
        file.seek(MINIMAL_BYTES)
        file.write(bytes([byte[0] ^ 1]))
    found = subprocess.run(command, check=False, capture_output=True)
    assert found.returncode == 1
    assert [(each["code"], each["path"]) for each in json.loads(found.stdout)[0]["findings"]] == [
        ("changed", "files/large_1.bin")
    ]


@several_cores
def test_verify_gives_the_same_report_with_and_without(tmp_path: Path) -> None:
    run = tiny_run(tmp_path)
    with changing(run):
        (run.path / "files").mkdir(exist_ok=True)
        (run.path / "files" / "large.bin").write_bytes(os.urandom(MINIMAL_BYTES))
    (run.path / "files" / "stray.bin").write_bytes(os.urandom(2 * MINIMAL_BYTES))
    ahead = HashingAhead(run.path, ("blake3",))
    counted: list[int] = []
    report = verify(run.path, hashing_ahead=ahead, on_bytes=counted.append)
    again: list[int] = []
    assert report == verify(run.path, on_bytes=again.append)
    assert [finding.path for finding in report.findings] == ["files/stray.bin"]
    assert sum(counted) == sum(again)

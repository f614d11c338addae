"""Hashing while the program is imported: the same digests, no file that nobody asks for, every fault still found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from archiver.archive.verifying import verify
from archiver.cores import usable_cores
from archiver.sealing import changing
from archiver.storage.digests import bytes_digests
from archiver.storage.hashing_ahead import MINIMAL_BYTES, HashingAhead
from archiver.testing import tiny_run

several_cores = pytest.mark.skipif(usable_cores() < 2, reason="with one core nothing is hashed ahead")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        (tmp_path / f"large_{number}").write_bytes(os.urandom(MINIMAL_BYTES + number))
    (tmp_path / "small").write_bytes(b"small")
    return tmp_path


def until_done(ahead: HashingAhead, folder: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(ahead._digests) < 3:
        time.sleep(0.01)
    assert len(ahead._digests) == len(list(folder.glob("large_*")))


@several_cores
def test_the_digests_are_those_of_the_bytes(folder: Path) -> None:
    switch_seconds = sys.getswitchinterval()
    ahead = HashingAhead(folder, ("blake3", "sha256"))
    until_done(ahead, folder)
    paths = {"large_0", "large_1", "large_2", "small"}
    assert ahead.stop(paths) == {"large_0", "large_1", "large_2"}
    counted: list[int] = []
    for path in ("large_0", "large_1", "large_2"):
        data = (folder / path).read_bytes()
        assert ahead.digests(path, ("blake3",), len(data), counted.append) == bytes_digests(data, ("blake3", "sha256"))
    assert sum(counted) == 3 * MINIMAL_BYTES + 3
    ahead._thread.join()
    assert sys.getswitchinterval() == switch_seconds


@several_cores
def test_another_size_and_another_algorithm_are_read_again(folder: Path) -> None:
    ahead = HashingAhead(folder, ("blake3",))
    until_done(ahead, folder)
    ahead.stop({"large_0"})
    assert ahead.digests("large_0", ("blake3",), MINIMAL_BYTES + 1) is None
    assert ahead.digests("large_0", ("blake3", "md5"), MINIMAL_BYTES) is None
    assert ahead.digests("large_0", ("blake3",), MINIMAL_BYTES) is not None


@several_cores
def test_a_file_that_nobody_asks_for_is_left(tmp_path: Path) -> None:
    with (tmp_path / "endless").open("wb") as file:
        for _ in range(600):
            file.write(bytes(1 << 20))
    ahead = HashingAhead(tmp_path, ("md5",))
    while not ahead._sizes:
        time.sleep(0.001)
    assert ahead.stop({"manifest-md5.txt"}) == frozenset()
    ahead._thread.join()
    assert ahead._digests == {}


def test_a_folder_that_is_none_is_nobodys_fault(tmp_path: Path) -> None:
    ahead = HashingAhead(tmp_path / "none", ("blake3",))
    assert ahead.stop({"a"}) == frozenset()


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

"""Locks keep another process out where there are any, and nobody where there are none."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from archiver.storage.locks import try_lock, wait_for_lock

HOLD = """
import os, sys
from archiver.storage.locks import try_lock
print(try_lock(os.open(sys.argv[1], os.O_RDONLY)), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def descriptor(tmp_path: Path):
    opened = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield opened
    os.close(opened)


def test_another_process_is_kept_out_until_the_first_ends(tmp_path: Path, descriptor: int) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        assert not try_lock(descriptor)
        holder.kill()
    wait_for_lock(descriptor)
    assert try_lock(descriptor)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF])
def test_without_locks_nobody_is_kept_out(descriptor: int, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert try_lock(descriptor)
    wait_for_lock(descriptor)


def test_what_else_goes_wrong_is_told(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.EIO, "the disk")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="the disk"):
        try_lock(descriptor)

"""Settings of all tests."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import gc
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import psutil
import pytest

from archiver.machine.cgroups import memory_limit_bytes
from tests.property.campaigns import campaign

if TYPE_CHECKING:
    from tests.training.scripts import Server

# Trainings note their seals as the user's own: those of the tests are not.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="archiver-tests-state-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

ROOM_BYTES = 8 << 30
"""More than the tests' own files and their processes need."""
IN_MEMORY = "archiver-tests-files-"


def keep_files_in_memory(memory: Path = Path("/dev/shm")) -> None:
    """The tests write many thousands of small files that nobody wants again: where there is room, into memory.

    Where programs may not be run from there, or somebody has named another place, they go where pytest puts them.
    """
    if "PYTEST_DEBUG_TEMPROOT" in os.environ or not os.access(memory, os.W_OK | os.X_OK):
        return
    for folder in memory.glob(f"{IN_MEMORY}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > 60 and is_mine(folder):
                shutil.rmtree(folder)  # of tests that were killed
    found = os.statvfs(memory)
    limit = memory_limit_bytes() or psutil.virtual_memory().total
    room = min(found.f_bavail * found.f_frsize, psutil.virtual_memory().available, limit)
    if found.f_flag & os.ST_NOEXEC or room < ROOM_BYTES:
        return
    folder = Path(tempfile.mkdtemp(prefix=IN_MEMORY, dir=memory))
    assert is_mine(folder)
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(folder)
    atexit.register(remove_as, os.getpid(), folder)


def remove_as(process_id: int, folder: Path) -> None:
    """Remove a folder at the end of that process, not of one that was forked from it."""
    if os.getpid() == process_id:
        shutil.rmtree(folder, ignore_errors=True)


def is_mine(folder: Path) -> bool:
    """Lock a folder until this process ends; whether nobody else had."""
    try:
        fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


keep_files_in_memory()

# How long an example takes says more about the machine than about the code; pytest's own timeout still holds. A
# machine under load is also slow to draw examples. `make stress` draws as many as Hypothesis would.
hypothesis.settings.register_profile(
    "archiver",
    deadline=None,
    max_examples=campaign(30, 100),
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("archiver")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nobody looks for garbage among what the tests import, then and later: that is a third of the time it takes."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Forks scripts from a process that has TensorFlow loaded, which takes seconds: one for each process of tests."""
    from tests.training.scripts import serving

    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def server_of() -> Iterator[Callable[[str], Server]]:
    """The same for another backend of Keras, by its name."""
    from tests.training.scripts import serving

    with contextlib.ExitStack() as servers:
        yield functools.cache(lambda backend: servers.enter_context(serving(KERAS_BACKEND=backend)))

"""Settings of all tests."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from tests.training.scripts import Server

# Trainings note their seals as the user's own: those of the tests are not.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="archiver-tests-state-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

# How long an example takes says more about the machine than about the code; pytest's own timeout still holds. A
# machine under load is also slow to draw examples.
hypothesis.settings.register_profile("archiver", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("archiver")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Forks scripts from a process that has TensorFlow loaded, which takes seconds: one for each process of tests."""
    from tests.training.scripts import serving

    with serving() as server:
        yield server

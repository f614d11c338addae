"""Settings of all tests."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

import hypothesis

# Trainings note their seals as the user's own: those of the tests are not.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="archiver-tests-state-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

# How long an example takes says more about the machine than about the code; pytest's own timeout still holds. A
# machine under load is also slow to draw examples.
hypothesis.settings.register_profile("archiver", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("archiver")

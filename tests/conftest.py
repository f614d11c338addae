"""Settings of all tests."""

from __future__ import annotations

import hypothesis

# How long an example takes says more about the machine than about the code; pytest's own timeout still holds. A
# machine under load is also slow to draw examples.
hypothesis.settings.register_profile("archiver", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("archiver")

"""Checking a rate between two samples on a machine that may stop anywhere for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def sample_twice(
    sample: Callable[[], Any], work: Callable[[], None], counter: Callable[[], float]
) -> tuple[Any, float, float]:
    """The second reading, with the least and the largest rate that the counter can have had between the two samples."""
    outer_time, outer_count = time.monotonic(), counter()
    sample()
    inner_time, inner_count = time.monotonic(), counter()
    work()
    inner_time, inner_count = time.monotonic() - inner_time, counter() - inner_count
    reading = sample()
    outer_time, outer_count = time.monotonic() - outer_time, counter() - outer_count
    return reading, inner_count / outer_time, outer_count / inner_time

"""Types of array elements by name, for readers that do without NumPy."""

from __future__ import annotations

import re

_WIDTH = re.compile(r"\d+")


def dtype_bytes(name: str) -> int:
    """Bytes of one element of the type that NumPy or ml_dtypes calls `name`; types of less than a byte take one."""
    width = _WIDTH.search(name)
    return max(1, int(width[0]) // 8) if width else 1

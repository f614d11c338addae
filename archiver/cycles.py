"""Python's looks for cycles, left out while many objects are made of which none refers to itself."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def cycles_ignored() -> Iterator[None]:
    """Each look goes through all objects there are, such as TensorFlow's, again and again while more are made."""
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_enabled:
            gc.enable()

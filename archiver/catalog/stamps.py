"""How the file system tells whether something has changed since it was read."""

from __future__ import annotations

FRESH_NS = 2_000_000_000
"""What changed this recently may change again within one tick of the clock: it is read again next time."""
UNSETTLED = "unsettled"

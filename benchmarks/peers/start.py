"""Starts `training.py` beside it, so that its exit handler is the first one, which Python calls last."""

from __future__ import annotations

import atexit
import sys


def main() -> None:
    """Nothing else is imported before, lest it has exit handlers of its own."""
    atexit.register(finish)
    import training  # type: ignore[import-not-found]

    training.main()


def finish() -> None:
    """All that a peer does at exit is done."""
    sys.modules["training"].finish()


if __name__ == "__main__":
    main()

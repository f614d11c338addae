"""Trying again what a network spoiled: with pauses that grow and differ, and an end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from archiver.collect.redaction import redact_text
from archiver.errors import ArchiverError, RemoteError

T = TypeVar("T")

_FINAL = (ArchiverError, FileNotFoundError, ImportError, MemoryError, NotImplementedError, PermissionError)
_FINAL_NAMES = frozenset(("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"))
"""Of the libraries behind fsspec: trying again asks for the same."""


class SpoiledError(Exception):
    """What arrived is not what was sent; worth another attempt."""


@dataclass(frozen=True)
class Patience:
    """How often something is tried, and the pauses between."""

    attempts: int = 8
    first_seconds: float = 0.25
    """The first pause is up to so long, each further one twice as long."""
    longest_seconds: float = 20.0

    def pause_seconds(self, attempt: int) -> float:
        """After the attempt of this number, from 0: between half of it and all of it, so that not all come at once."""
        whole = min(self.longest_seconds, self.first_seconds * 2.0**attempt)
        return whole * random.uniform(0.5, 1.0)

    def persist(self, what: str, function: Callable[[], T]) -> T:
        """Call until it succeeds.

        Args:
            what: for the message: "send models/a.keras to s3://...".
            function: may be called any number of times.

        Raises:
            RemoteError: it failed for good.
            ArchiverError: what `function` raised of these.
            FileNotFoundError: what it asks for is not there.
        """
        for attempt in range(self.attempts):
            try:
                return function()
            except (ArchiverError, FileNotFoundError):
                raise
            except Exception as error:
                is_final = isinstance(error, _FINAL) or type(error).__name__ in _FINAL_NAMES
                if is_final or attempt + 1 == self.attempts:
                    raise RemoteError(f"cannot {what}: {_told(error)}{_count(attempt)}") from error
                time.sleep(self.pause_seconds(attempt))
        raise AssertionError("unreachable")


def _count(attempt: int) -> str:
    return f" (tried {attempt + 1} times)" if attempt else ""


def _told(error: Exception) -> str:
    lines = str(error).splitlines() or [""]
    return redact_text(f"{type(error).__name__}: {lines[0][:300]}")


PATIENT = Patience()

"""Files of an archive that are not in its folder: they lie in a store elsewhere, and are read where they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO


def _nothing(path: str) -> BinaryIO:
    raise FileNotFoundError(path)


@dataclass
class Unfetched:
    """What of an archive is not here. Its documents are: only what is large and looked at but once is left there."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    """Bytes by path, as the store lists them."""
    open: Callable[[str], BinaryIO] = _nothing
    """Opens one for reading and seeking; the file has no descriptor."""
    fetch: Callable[[Iterable[str]], None] = lambda _: None
    """Brings some into the folder, where they are read from then on."""
    refused: tuple[tuple[str, str], ...] = ()
    """Names there that are not used, and why."""
    threads: int = 1
    """How many may be read at once."""
    newest_ns: int = 0
    """The latest modification time, in nanoseconds since 1970."""

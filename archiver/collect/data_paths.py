"""Which paths the user named as the source of the data."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from archiver.collect.command import recordable
from archiver.collect.redaction import is_secret_name, redact_text

MAXIMAL_PATHS = 1000
MAXIMAL_DEPTH = 40
_MAXIMAL_PATH_LENGTH = 4096
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_SURELY_PATH = re.compile(r"/|~|\.\.?/|\.\.?\Z")


@dataclass(frozen=True)
class NamedPath:
    """A path, and where it was named."""

    name: str
    """A JSON pointer into what the user said."""
    path: str
    """Absolute: the working directory may change before it is looked at."""
    is_surely_path: bool
    """False for text such as `digits`, which may be a folder or just a name."""


def named_paths(value: Any) -> tuple[NamedPath, ...]:
    """The paths in `value`: path objects, and texts that may be paths. Looks at nothing on the disk.

    A text with the scheme of an address (`https:`, `s3:`, `doi:`) or with a line feed is no path, nor is anything
    below a key that is called like a secret. At most `MAXIMAL_PATHS` + 1 are returned.
    """
    found: list[NamedPath] = []
    for pointer, leaf in _leaves("", value, 0):
        path = _as_path(leaf)
        if path is not None:
            found.append(NamedPath(pointer, os.path.abspath(os.path.expanduser(path)), _is_surely_path(leaf)))
        if len(found) > MAXIMAL_PATHS:
            break
    return tuple(found)


def _leaves(pointer: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > MAXIMAL_DEPTH:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(key, str) and not is_secret_name(key):
                escaped = recordable(redact_text(key)).replace("~", "~0").replace("/", "~1")
                yield from _leaves(f"{pointer}/{escaped}", item, depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _leaves(f"{pointer}/{index}", item, depth + 1)
    else:
        yield pointer, value


def _as_path(leaf: Any) -> str | None:
    if isinstance(leaf, os.PathLike):
        path = os.fsdecode(leaf)
    elif isinstance(leaf, str) and leaf.strip() and "\n" not in leaf and not is_address(leaf):
        path = leaf
    else:
        return None
    return path if "\0" not in path and len(path) <= _MAXIMAL_PATH_LENGTH else None


def _is_surely_path(leaf: Any) -> bool:
    return isinstance(leaf, os.PathLike) or _SURELY_PATH.match(leaf) is not None


def is_address(text: str) -> bool:
    """Whether a text begins with a scheme, as `https:` or `gs:`."""
    return _ADDRESS.match(text) is not None


def visible(path: str | bytes) -> str:
    """A path as a record can hold it: the home folder as `~`, no secrets, no half characters."""
    return recordable(redact_text(os.fsdecode(path)))

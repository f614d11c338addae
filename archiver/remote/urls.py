"""URLs of stores and runs: what is one, the file system behind it, and how it may be shown."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archiver.errors import ArgumentError, MissingExtraError, RemoteError

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_EXTRAS = {
    "s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "hf": "hf",
    "abfs": "azure", "abfss": "azure", "az": "azure", "adl": "azure",
}  # fmt: skip
"""By scheme, the extra that brings its file system."""
_MODULES = {"s3": "s3fs", "gcs": "gcsfs", "azure": "adlfs", "hf": "huggingface_hub"}
"""By extra, the library in it."""
_NAMES_A_CONTAINER = frozenset(("abfs", "abfss", "az", "adl"))
"""Schemes that have the name of a container, which is no secret, where others have a user."""
_ONE_WRITER = frozenset(("hf",))
"""Schemes in which every file is a commit, and two at a time are in each other's way."""
THREADS = 8
"""Small files wait for the network nearly all the time."""
CONNECT_SECONDS = 15
READ_SECONDS = 30


@dataclass(frozen=True)
class Remote:
    """A folder in a store."""

    filesystem: Any
    """Of fsspec."""
    root: str
    """The folder, as the file system calls it, without a slash behind."""
    url: str
    """How it is shown: without user, password and query."""
    scheme: str

    @property
    def name(self) -> str:
        """The last component."""
        return self.root.rpartition("/")[2]

    @property
    def threads(self) -> int:
        """How many may write at once."""
        return 1 if self.scheme in _ONE_WRITER else THREADS

    def path_of(self, path: str) -> str:
        """A path below the folder, as the file system calls it."""
        return f"{self.root}/{path}" if path else self.root

    def below(self, path: str) -> Remote:
        """A folder below this one."""
        return Remote(self.filesystem, self.path_of(path), f"{self.url}/{path}", self.scheme) if path else self


def is_url(place: object) -> bool:
    """Whether it is a URL, and no path."""
    return isinstance(place, str) and _URL.match(place) is not None


def shown_url(url: str) -> str:
    """A URL as messages and caches may have it: without user, password, query, fragment and slash behind."""
    match = _URL.match(url)
    if match is None:
        return url
    scheme, rest = match[1].lower(), re.split(r"[?#]", match[2], maxsplit=1)[0]
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    if at and not (scheme in _NAMES_A_CONTAINER and ":" not in user):
        authority = host
    return f"{scheme}://{authority}{slash}{path}".rstrip("/")


def url_of_run(url: str, folder: str) -> str:
    """Where a run of that folder lies in a store: below `url`, unless that ends with the folder's name itself."""
    stripped = url.rstrip("/")
    return stripped if stripped.rpartition("/")[2] == folder else f"{stripped}/{folder}"


def check_url(url: str) -> str:
    """The scheme of a URL that can be used; nothing is imported.

    Raises:
        ArgumentError: it is no such URL.
        MissingExtraError: the library of its scheme is not installed.
    """
    match = _URL.fullmatch(url)
    if match is None or not match[2].strip("/") or "::" in url or not url.isprintable():
        raise ArgumentError(f"Received the URL {shown_url(url)!r}. Expected one such as 's3://bucket/runs'.")
    scheme = match[1].lower()
    for module in ("fsspec", _MODULES.get(_EXTRAS.get(scheme, ""), "fsspec")):
        if importlib.util.find_spec(module) is None:
            raise _missing(scheme, f"No module named {module!r}")
    return scheme


def open_remote(url: str, storage_options: Mapping[str, Any] | None = None) -> Remote:
    """The folder at a URL. Nothing is asked of the network yet.

    Args:
        url: such as `s3://bucket/runs`.
        storage_options: what fsspec's file system is given (keys, endpoint, ...); kept in memory only.

    Raises:
        ArgumentError: it is no URL that can be used.
        MissingExtraError: the library of its scheme is not installed.
        RemoteError: the file system cannot be made.
    """
    scheme, shown = check_url(url), shown_url(url)
    options: dict[str, Any] = {"use_listings_cache": False} | _defaults(scheme) | dict(storage_options or {})
    try:
        from fsspec.core import url_to_fs

        filesystem, root = url_to_fs(url, **options)
    except ImportError as error:
        raise _missing(scheme, _first_line(error)) from error
    except ValueError as error:
        raise ArgumentError(f"Received the URL {shown!r}: {_first_line(error)}.") from error
    except Exception as error:
        raise RemoteError(f"{shown}: the store cannot be opened: {_first_line(error)}") from error
    if scheme in ("s3", "s3a"):
        filesystem.retries = 2
    return Remote(filesystem, root.rstrip("/"), shown, scheme)


def _defaults(scheme: str) -> dict[str, Any]:
    if scheme in ("s3", "s3a"):
        # What it tries again by itself multiplies with our own attempts.
        retries = {"max_attempts": 1, "mode": "standard"}
        return {"config_kwargs": {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS, "retries": retries}}
    return {"auto_mkdir": True} if scheme in ("file", "local") else {}


def _missing(scheme: str, reason: str) -> MissingExtraError:
    extra = _EXTRAS.get(scheme)
    if extra is None:
        return MissingExtraError(f"{scheme}:// needs a library that is not installed: {reason}")
    return MissingExtraError(
        f'{scheme}:// needs a library that is not installed: pip install "keras-archiver[{extra}]".'
    )


def _first_line(error: BaseException) -> str:
    from archiver.collect.redaction import redact_text

    lines = str(error).splitlines() or [""]
    return redact_text(f"{type(error).__name__}: {lines[0][:300]}")


def cache_folder(kind: str) -> Path:
    """The folder of a kind of things in the user's cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "archiver" / kind

"""`CachePlan`: which recordings become which caches, and how; in Python, or read from a TOML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archiver.data.cache.building import CacheStorage
from archiver.data.cache.extraction import Windowing
from archiver.data.cache.recording import RecordingSource
from archiver.errors import ArgumentError

MINI_RECORDINGS = 2
"""Of each cache, in a mini run."""


@dataclass(frozen=True, eq=False)
class CachePlan:
    """What `archiver cache build` does.

    Args:
        output: path of the caches; `{release}`, or another kind of group, stands for its name: a file for each.
        recordings: sources of recordings, with the groups that `output` names.
        windowing: how windows are cut.
        storage: how they are kept.
        description: what an archive should know.
    """

    output: str
    recordings: Sequence[RecordingSource]
    windowing: Windowing
    storage: CacheStorage = field(default_factory=CacheStorage)
    description: Mapping[str, Any] = field(default_factory=dict)

    def caches(self, groups: Sequence[str] = (), *, is_mini: bool = False) -> dict[Path, list[RecordingSource]]:
        """The recordings of each cache.

        Args:
            groups: only recordings of these, of any kind.
            is_mini: only the first two of each cache, into a cache of its own.

        Raises:
            ArgumentError: no recording is left, or one lacks a group that `output` names.
        """
        known = {name for source in self.recordings for name in source.groups.values()}
        unknown = [name for name in groups if name not in known]
        if unknown:
            raise ArgumentError(f"Received groups {unknown}. Expected some of {', '.join(sorted(known)) or 'none'}.")
        chosen = [each for each in self.recordings if not groups or set(groups) & set(each.groups.values())]
        found: dict[Path, list[RecordingSource]] = {}
        for source in chosen:
            found.setdefault(self._path_of(source, is_mini), []).append(source)
        if not found:
            raise ArgumentError("Received a plan without recordings. Expected at least one.")
        return {path: sources[:MINI_RECORDINGS] if is_mini else sources for path, sources in found.items()}

    def _path_of(self, source: RecordingSource, is_mini: bool) -> Path:
        try:
            path = Path(self.output.format_map(dict(source.groups)))
        except (KeyError, ValueError, IndexError) as error:
            raise ArgumentError(
                f"Received output={self.output!r} for {source.name!r}, of the groups {dict(source.groups)}. Expected "
                "braces around kinds of groups only."
            ) from error
        return path.with_name(f"{path.stem}.mini{path.suffix}") if is_mini else path

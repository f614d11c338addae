"""What the manifests of a damaged archive say, and how they are made anew from the files and from each other."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from archiver import layout
from archiver.archive.run import Run
from archiver.errors import ArchiverError, UnsafePathError
from archiver.storage.beneath import relative_parts
from archiver.storage.digests import ALGORITHMS, bytes_digests
from archiver.storage.manifests import (
    MANIFEST_NAMES,
    MAXIMAL_MANIFEST_BYTES,
    format_manifest,
    parse_manifest,
)
from archiver.storage.reading import read_below

Digests = dict[str, str]
"""By algorithm."""

STRONG = ("blake3", "sha256")


@dataclass(frozen=True)
class Seals:
    """The manifests as they were found."""

    files: dict[str, bytes]
    """The manifests that are there, by the algorithm of their name."""
    raw: dict[str, bytes]
    """By the algorithm that their digests are of; two that changed places are taken for what they are."""
    listed: dict[str, dict[str, str]]
    """`{algorithm: {path: digest}}` of the lines that can be read."""
    recorded: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Size and MD5 of each file in the metadata, where that can be read."""

    @classmethod
    def of(cls, run: Run) -> Seals:
        """Those of a run, with all that is wrong with them."""
        raw: dict[str, bytes] = {}
        for algorithm, name in MANIFEST_NAMES.items():
            with contextlib.suppress(OSError, ArchiverError):
                raw[algorithm] = read_below(run.path, name, MAXIMAL_MANIFEST_BYTES)
        listed = {algorithm: _safe(parse_manifest(data, algorithm)[0]) for algorithm, data in raw.items()}
        with contextlib.suppress(ArchiverError):
            metadata = run.read(layout.METADATA)
            recorded = {path: (part.size_bytes, part.md5) for path, part in metadata.files.items()}
            return cls(raw, raw, listed, recorded)
        return cls(raw, raw, listed)

    def sorted_out(self, found: Mapping[str, Digests]) -> Seals:
        """The same, each manifest taken for that of the algorithm by which most of its digests are right."""
        raw, listed = dict(self.raw), dict(self.listed)
        for algorithm in ALGORITHMS:
            readings = [(data, _safe(parse_manifest(data, algorithm)[0])) for data in self.files.values()]
            readings.sort(key=lambda reading: reading[0] is not self.files.get(algorithm))
            best = max(readings, key=lambda reading: _right(reading[1], algorithm, found), default=None)
            if best is not None and _right(best[1], algorithm, found) > _right(
                listed.get(algorithm, {}), algorithm, found
            ):
                raw[algorithm], listed[algorithm] = best
        return replace(self, raw=raw, listed=listed)

    def paths(self) -> list[str]:
        """All files that were sealed, but the manifests. A path in one manifest alone may be a damaged line of it."""
        manifests = set(MANIFEST_NAMES.values())
        counts: dict[str, int] = {}
        for listed in self.listed.values():
            for path in listed.keys() - manifests:
                counts[path] = counts.get(path, 0) + 1
        needed = 1 if sum(bool(listed) for listed in self.listed.values()) == 1 else 2
        return sorted(path for path, count in counts.items() if count >= needed)

    def expected(self, path: str) -> Digests:
        """The recorded digests of a file."""
        found = {algorithm: listed[path] for algorithm, listed in self.listed.items() if path in listed}
        if "md5" not in found and path in self.recorded:
            found["md5"] = self.recorded[path][1]
        return found

    def proves(self, path: str, digests: Mapping[str, str]) -> bool:
        """Whether these are the digests of the file that was sealed: by BLAKE3 or SHA-256 where one is recorded."""
        expected = self.expected(path)
        strong = [algorithm for algorithm in STRONG if algorithm in expected]
        return any(expected[algorithm] == digests[algorithm] for algorithm in strong or expected)

    def made_anew(self, digests: Mapping[str, Digests]) -> dict[str, bytes]:
        """The manifests of files with these digests; for others, those that are recorded. Without one there is none."""
        known = {path: digests.get(path) or self.expected(path) for path in self.paths()}
        made: dict[str, bytes] = {}
        for algorithm in ALGORITHMS:
            if any(algorithm not in each for each in known.values()):
                return made
            made[algorithm] = format_manifest({path: each[algorithm] for path, each in known.items()})
            known[MANIFEST_NAMES[algorithm]] = bytes_digests(made[algorithm], ALGORITHMS)
        return made

    def confirms(self, made: Mapping[str, bytes], *, all_sound: bool) -> bool:
        """Whether manifests made anew are those that were sealed.

        One of those found is the same, byte for byte: it covers the ones before it, and the ones after it follow from
        the files. While a file is damaged, its digests are taken from the manifests themselves: then it must be the
        last one, which covers the others.
        """
        deciding = made if all_sound else {"blake3"}
        return len(made) == len(ALGORITHMS) and any(self.raw.get(name) == made[name] for name in deciding)


def _right(listed: Mapping[str, str], algorithm: str, found: Mapping[str, Digests]) -> int:
    return sum(found[path][algorithm] == digest for path, digest in listed.items() if path in found)


def _safe(listed: dict[str, str]) -> dict[str, str]:
    safe = {}
    for path, digest in listed.items():
        with contextlib.suppress(UnsafePathError):
            relative_parts(path)
            safe[path] = digest
    return safe

"""Verifying, third step: the bytes of every file, against the digests in the manifests; each file is read once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Set

from archiver import layout
from archiver.archive.inspection import Inspection
from archiver.archive.transfer import explain_change, find_unreadable
from archiver.cores import usable_cores
from archiver.errors import ArchiverError, RemoteError
from archiver.storage.digests import file_digests
from archiver.storage.hashing import SMALL_TOTAL_BYTES, in_threads
from archiver.storage.hashing_ahead import HashingAhead
from archiver.storage.manifests import MANIFEST_NAMES


def check_bytes(inspection: Inspection, algorithms: tuple[str, ...], on_bytes: Callable[[int], None] | None) -> None:
    """Hash all files that are listed and there, the largest first; report those that changed, and why if that shows.

    Args:
        inspection: after the first two steps.
        algorithms: the manifests to check against.
        on_bytes: is told how many more bytes were read, on any thread.
    """
    wanted = _expected_digests(inspection, algorithms)
    hashing = _Hashing(inspection, wanted, on_bytes)
    if inspection.hashing_ahead is not None:
        hashing.hash_beside(inspection.hashing_ahead)
    hashing.hash_all(wanted.keys() - hashing.results.keys())
    for path in sorted(wanted):
        _compare_digests(inspection, path, wanted[path], hashing.results[path])


class _Hashing:
    """Digests of files, as they are found out, or why they are not.

    Args:
        inspection: knows where the files are, and how large.
        wanted: the algorithms that are needed of each path.
        on_bytes: see `check_bytes`.
    """

    def __init__(
        self, inspection: Inspection, wanted: Mapping[str, Collection[str]], on_bytes: Callable[[int], None] | None
    ) -> None:
        self._inspection, self._wanted, self._on_bytes = inspection, wanted, on_bytes
        self.results: dict[str, dict[str, str] | Exception] = {}

    def hash_beside(self, ahead: HashingAhead) -> None:
        """Hash what other processes have not begun, and take over what they find out."""
        handed_over = ahead.paths
        self.hash_all(self._wanted.keys() - handed_over)
        if handed_over:
            self._make_record_classes()  # the next step needs them, and this one would only wait
        while (path := ahead.take()) is not None:
            if path in self._wanted:
                self._hash_one(path)
        for path, digests in ahead.digests(self._wanted, self._inspection.sizes):
            if digests.keys() >= set(self._wanted[path]):
                self.results[path] = digests
                if self._on_bytes is not None:
                    self._on_bytes(self._inspection.sizes[path])

    def hash_all(self, paths: Set[str]) -> None:
        """Hash these files, the largest first, several at once."""
        sizes = self._inspection.sizes
        threads = 1 if sum(sizes[path] for path in paths) < SMALL_TOTAL_BYTES else usable_cores()
        threads = max(threads, self._inspection.unfetched.threads)
        in_threads(self._hash_one, sorted(paths, key=lambda path: (-sizes[path], path)), threads)

    def _make_record_classes(self) -> None:
        for entry in layout.RECORD_FILES:
            if entry.path(self._inspection.run.name) in self._inspection.sizes:
                entry.record.model_rebuild()

    def _hash_one(self, path: str) -> None:
        try:
            self.results[path] = _read_digests(self._inspection, path, self._wanted[path], self._on_bytes)
        except RemoteError:
            raise  # nothing is known of the file then
        except (OSError, ArchiverError) as error:
            self.results[path] = error


def _read_digests(
    inspection: Inspection, path: str, algorithms: Iterable[str], on_bytes: Callable[[int], None] | None
) -> dict[str, str]:
    with inspection.open_stored(path) as file:
        return file_digests(file, algorithms, on_bytes, inspection.sizes[path])


def _expected_digests(inspection: Inspection, algorithms: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """By path and algorithm. Manifests are small: they are always checked by all that list them."""
    if layout.MANIFEST_BLAKE3.pattern not in inspection.sizes:
        return {}
    manifest_names = set(MANIFEST_NAMES.values())
    expected: dict[str, dict[str, str]] = {}
    for algorithm, listed in inspection.listed.items():
        for path, digest in listed.items():
            if path in inspection.sizes and (algorithm in algorithms or path in manifest_names):
                expected.setdefault(path, {})[algorithm] = digest
    return expected


def _compare_digests(
    inspection: Inspection, path: str, expected: dict[str, str], found: dict[str, str] | Exception
) -> None:
    if isinstance(found, Exception):
        find_unreadable(inspection, path, found)
        inspection.damaged.add(path)
        return
    differing = [algorithm for algorithm, digest in expected.items() if found[algorithm] != digest]
    if differing:
        inspection.damaged.add(path)
        _changed(inspection, path, differing, expected)


def _changed(inspection: Inspection, path: str, differing: list[str], expected: dict[str, str]) -> None:
    was_converted = path in inspection.undone
    explanation = explain_change(inspection, path, expected)
    if explanation is not None and was_converted:
        return  # a manifest, of which that was said when it was read
    size, before = inspection.sizes[path], inspection.recorded_bytes(path)
    sizes = f"{size} bytes now" if before in (None, size) else f"{size} bytes now, {before} then"
    message = explanation.message if explanation else f"its {', '.join(differing)} is not the recorded one ({sizes})"
    inspection.find("changed", path, message, explanation.cause if explanation else None)

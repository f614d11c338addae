"""Verifying, third step: the bytes of every file, against the digests in the manifests; each file is read once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set

from archiver import layout
from archiver.archive.inspection import Inspection
from archiver.archive.transfer import explain_change, find_unreadable
from archiver.cores import usable_cores
from archiver.errors import ArchiverError, RemoteError
from archiver.storage.digests import file_digests
from archiver.storage.hashing import SMALL_TOTAL_BYTES, in_threads
from archiver.storage.manifests import MANIFEST_NAMES


def check_bytes(inspection: Inspection, algorithms: tuple[str, ...], on_bytes: Callable[[int], None] | None) -> None:
    """Hash all files that are listed and there, the largest first; report those that changed, and why if that shows.

    Args:
        inspection: after the first two steps.
        algorithms: the manifests to check against.
        on_bytes: is told how many more bytes were read, on any thread.
    """
    wanted = _expected_digests(inspection, algorithms)
    sizes = {path: inspection.sizes[path] for path in wanted}
    results: dict[str, dict[str, str] | Exception] = {}

    def hash_one(path: str) -> None:
        try:
            results[path] = _read_digests(inspection, path, wanted[path], on_bytes)
        except RemoteError:
            raise  # nothing is known of the file then
        except (OSError, ArchiverError) as error:
            results[path] = error

    ahead = inspection.hashing_ahead
    handed_over = ahead.paths if ahead is not None else frozenset()
    while ahead is not None and (taken := ahead.take()) is not None:
        if taken in wanted:
            hash_one(taken)
    _hash_all(inspection, wanted.keys() - handed_over, hash_one)
    for path, digests in ahead.digests(wanted, sizes) if ahead is not None else ():
        if digests.keys() >= wanted[path].keys():
            results[path] = digests
            if on_bytes is not None:
                on_bytes(sizes[path])
    _hash_all(inspection, wanted.keys() - results.keys(), hash_one)
    for path in sorted(wanted):
        _compare_digests(inspection, path, wanted[path], results[path])


def _hash_all(inspection: Inspection, paths: Set[str], hash_one: Callable[[str], None]) -> None:
    sizes = inspection.sizes
    threads = 1 if sum(sizes[path] for path in paths) < SMALL_TOTAL_BYTES else usable_cores()
    threads = max(threads, inspection.unfetched.threads)
    in_threads(hash_one, sorted(paths, key=lambda path: (-sizes[path], path)), threads)


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

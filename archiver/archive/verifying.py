"""`verify`: is the archive whole? Reads everything, follows no link, runs nothing, needs no Keras."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Literal

from archiver import layout
from archiver.archive import agreement
from archiver.archive.deep import check_tensors
from archiver.archive.findings import VerifyReport
from archiver.archive.inspection import Inspection
from archiver.archive.run import Run
from archiver.errors import ArchiverError, ArgumentError
from archiver.storage import manifests
from archiver.storage.beneath import Entry, opened_folder, relative_parts, walk
from archiver.storage.digests import ALGORITHMS, file_digests
from archiver.storage.hashing import SMALL_TOTAL_BYTES, in_threads
from archiver.storage.manifests import MANIFEST_NAMES, MAXIMAL_MANIFEST_BYTES
from archiver.storage.reading import open_below, read_below, require_stored

HashChoice = Literal["blake3", "sha256", "md5", "all"]


def verify(
    path: str | os.PathLike[str],
    *,
    algorithm: HashChoice = "blake3",
    deep: bool = False,
    on_bytes: Callable[[int], None] | None = None,
) -> VerifyReport:
    """Check one archive.

    Args:
        path: the folder of the run.
        algorithm: the digests to check the bytes against: "blake3", "sha256", "md5" or "all". The manifests are
            checked against each other whatever is chosen, but no other file holds the digests in
            manifest-blake3.txt: that one of them is damaged shows with "blake3" and "all" only.
        deep: also compare every tensor inside every model file with its recorded digest.
        on_bytes: is told how many more bytes were checked, on any thread; for a progress bar.

    Returns:
        The report; an archive that is not sealed has a finding that says so.

    Raises:
        NotAnArchiveError: there is no archive.
        ArgumentError: no such algorithm.
    """
    if algorithm not in (*ALGORITHMS, "all"):
        raise ArgumentError(f"Received algorithm={algorithm!r}. Expected 'blake3', 'sha256', 'md5' or 'all'.")
    algorithms = ALGORITHMS if algorithm == "all" else (algorithm,)
    inspection = Inspection(Run.open(path))
    _list_files(inspection)
    _read_manifests(inspection)
    _compare_lists(inspection)
    _check_bytes(inspection, algorithms, on_bytes)
    agreement.check(inspection)
    if deep:
        check_tensors(inspection)
    inspection.count_the_rest()
    return _report(inspection, algorithms)


def _report(inspection: Inspection, algorithms: tuple[str, ...]) -> VerifyReport:
    run = inspection.run
    return VerifyReport(
        path=str(run.path),
        name=run.name,
        status=_status(run),
        seal_id=_seal_id(inspection),
        algorithms=algorithms,
        files_checked=len(inspection.sizes),
        bytes_checked=sum(inspection.sizes.values()),
        findings=tuple(inspection.findings),
        information=tuple(inspection.information),
        tensors_checked=inspection.tensors_checked,
    )


def _seal_id(inspection: Inspection) -> str | None:
    try:
        return inspection.run.seal_id if layout.MANIFEST_BLAKE3.pattern in inspection.sizes else None
    except (OSError, ArchiverError):
        return None  # reported with the manifests


def _status(run: Run) -> str:
    try:
        return run.status.describe()
    except ArchiverError as error:
        return f"unknown: {error}"


def _list_files(inspection: Inspection) -> None:
    folders: set[str] = set()
    try:
        with opened_folder(inspection.run.path) as root:
            for entry in walk(root):
                _list_one(inspection, entry, folders)
    except ArchiverError as error:
        inspection.find("unreadable", "", f"its files cannot be listed: {error}")
    if layout.MANIFEST_BLAKE3.pattern in inspection.sizes:
        used = {parent for path in inspection.sizes for parent in _parents(path)}
        for folder in sorted(folders - used):
            inspection.find("unlisted", folder, "is a folder without files, which no manifest knows")


def _list_one(inspection: Inspection, entry: Entry, folders: set[str]) -> None:
    if entry.kind == "folder":
        folders.add(entry.path)
    elif entry.kind == "file":
        inspection.sizes[entry.path] = entry.size_bytes
        if entry.link_count > 1:
            inspection.inform("hard_link", entry.path, f"has {entry.link_count} hard links")
    else:
        inspection.find("not_a_regular_file", entry.path, f"is a {entry.kind}; it was not followed")


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        yield "/".join(parts[:count])


def _read_manifests(inspection: Inspection) -> None:
    seal = layout.MANIFEST_BLAKE3.pattern
    if seal not in inspection.sizes:
        status = _status(inspection.run)
        inspection.find("not_sealed", "", f"the archive is not sealed: there is no {seal}; the run is {status}")
    for algorithm, name in MANIFEST_NAMES.items():
        if name not in inspection.sizes:
            if seal in inspection.sizes:
                inspection.find("missing", name, "the manifest is missing")
            continue
        data = _read(inspection, name)
        if data is None:
            continue
        inspection.listed[algorithm], faults = manifests.parse_manifest(data, algorithm)
        for fault in faults:
            inspection.find("manifest", f"{name}:{fault.line}", fault.reason)


def _read(inspection: Inspection, name: str) -> bytes | None:
    try:
        return read_below(inspection.run.path, name, MAXIMAL_MANIFEST_BYTES)
    except (OSError, ArchiverError) as error:
        inspection.find("unreadable", name, str(error))
        return None


def _compare_lists(inspection: Inspection) -> None:
    """Missing and unlisted files, and whether the manifests list the same ones."""
    if layout.MANIFEST_BLAKE3.pattern not in inspection.sizes:
        return
    order = list(MANIFEST_NAMES)
    for position, (algorithm, listed) in enumerate(reversed(inspection.listed.items())):
        name = MANIFEST_NAMES[algorithm]
        later = {MANIFEST_NAMES[each] for each in order[order.index(algorithm) :]}
        for path in listed:
            _check_listed_path(inspection, name, path)
        unlisted = set(inspection.sizes) - set(listed) - later
        for path in sorted(unlisted):
            _unlisted(inspection, name, path, first=position == 0)


def _check_listed_path(inspection: Inspection, manifest: str, path: str) -> None:
    try:
        relative_parts(path)
    except ValueError as error:
        inspection.find("unsafe_path", f"{manifest}", f"names {path!r}: {error}")
        return
    if path not in inspection.sizes and ("missing", path) not in inspection.reported:
        inspection.find("missing", path, f"is listed in {manifest} and not there")


def _unlisted(inspection: Inspection, manifest: str, path: str, *, first: bool) -> None:
    if first or ("unlisted", path) not in inspection.reported:
        inspection.find("unlisted", path, f"is not listed in {manifest}")


def _check_bytes(inspection: Inspection, algorithms: tuple[str, ...], on_bytes: Callable[[int], None] | None) -> None:
    wanted = _expected_digests(inspection, algorithms)
    sizes = {path: inspection.sizes[path] for path in wanted}
    results: dict[str, dict[str, str] | Exception] = {}

    def hash_one(path: str) -> None:
        try:
            with open_below(inspection.run.path, path) as file:
                require_stored(file, path)
                results[path] = file_digests(file, wanted[path], on_bytes, sizes[path])
        except (OSError, ArchiverError) as error:
            results[path] = error

    threads = 1 if sum(sizes.values()) < SMALL_TOTAL_BYTES else os.cpu_count() or 1
    in_threads(hash_one, sorted(sizes, key=lambda path: -sizes[path]), threads)
    for path in sorted(wanted):
        _compare_digests(inspection, path, wanted[path], results[path])


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
        inspection.find("unreadable", path, str(found))
        inspection.damaged.add(path)
        return
    differing = [algorithm for algorithm, digest in expected.items() if found[algorithm] != digest]
    if differing:
        size = inspection.sizes[path]
        inspection.find("changed", path, f"its {', '.join(differing)} is not the recorded one ({size} bytes now)")
        inspection.damaged.add(path)

"""`verify`: is the archive whole? Reads everything, follows no link, runs nothing, needs no Keras."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

from archiver import layout
from archiver.archive import agreement
from archiver.archive.bags import BagInspection, check_bag
from archiver.archive.deep import check_tensors
from archiver.archive.expecting import check_expected, checked_seal_id
from archiver.archive.findings import VerifyReport
from archiver.archive.inspection import MAXIMAL_SIGNATURE_BYTES, Inspection
from archiver.archive.left_behind import left_behind
from archiver.archive.renamed import find_elsewhere
from archiver.archive.run import Run
from archiver.archive.secrets import allowed_secrets, message_of, refused_secrets, search_secrets
from archiver.archive.transfer import explain_absence, explain_change, explain_link, explain_refusal, undone_manifest
from archiver.archive.unwrapping import Unwrapped, unwrapped
from archiver.errors import ArchiverError, ArgumentError, RunStateError
from archiver.storage import manifests
from archiver.storage.beneath import Entry, opened_folder, relative_parts, walk
from archiver.storage.digests import ALGORITHMS, file_digests, sha256_of
from archiver.storage.hashing import SMALL_TOTAL_BYTES, in_threads
from archiver.storage.manifests import MANIFEST_NAMES, MAXIMAL_MANIFEST_BYTES
from archiver.storage.reading import open_below, read_below

HashChoice = Literal["blake3", "sha256", "md5", "all"]


def verify(
    path: str | os.PathLike[str],
    *,
    algorithm: HashChoice = "blake3",
    deep: bool = False,
    expect: str | None = None,
    public_key: str | os.PathLike[str] | None = None,
    secrets: bool = False,
    on_bytes: Callable[[int], None] | None = None,
) -> VerifyReport:
    """Check one archive.

    Args:
        path: the folder of the run; or a bag or a zip file with it, as `archiver export` writes them.
        algorithm: the digests to check the bytes against: "blake3", "sha256", "md5" or "all". The manifests are
            checked against each other whatever is chosen, but no other file holds the digests in
            manifest-blake3.txt: that one of them is damaged shows with "blake3" and "all" only.
        deep: also compare every tensor inside every model file with its recorded digest.
        expect: the seal id that was written down elsewhere, all of its 64 digits: another seal is a finding, which
            says what became of that one as far as the archive tells.
        public_key: file with a public key in PEM: also check that the archive is signed (`model.sig`), with that key,
            over this very seal.
        secrets: also search it for tokens and passwords.
        on_bytes: is told how many more bytes were checked, on any thread; for a progress bar.

    Returns:
        The report; an archive that is not sealed has a finding that says so.

    Raises:
        NotAnArchiveError: there is no archive.
        ArgumentError: no such algorithm; `expect` is no seal id; the public key cannot be used.
        UnsafeFileError: a zip file asks for what unpacking must not do.
        DamagedFileError: a zip file cannot be unpacked.
        StorageError: there is no room to unpack it.
        MissingExtraError: a signature is to be checked, and `cryptography` is not installed.
    """
    if algorithm not in (*ALGORITHMS, "all"):
        raise ArgumentError(f"Received algorithm={algorithm!r}. Expected 'blake3', 'sha256', 'md5' or 'all'.")
    algorithms = ALGORITHMS if algorithm == "all" else (algorithm,)
    expected = checked_seal_id(expect) if expect is not None else None
    check_signature = _signature_check(public_key) if public_key is not None else None
    with unwrapped(path) as wrapped:
        inspection = Inspection(Run.open(wrapped.folder))
        _list_files(inspection)
        _read_manifests(inspection)
        _compare_lists(inspection)
        _check_bytes(inspection, algorithms, on_bytes)
        agreement.check(inspection)
        if expected is not None:
            check_expected(inspection, expected)
        if check_signature is not None:
            check_signature(inspection)
        elif inspection.signature_bytes is not None:
            _inform_of_signature(inspection)
        if deep:
            check_tensors(inspection)
        if secrets:
            _check_secrets(inspection)
        report = _report(inspection, algorithms, expected)
        return report if wrapped.wrapping is None else _report_of_all(wrapped, inspection, report, on_bytes)


def require_whole(run: Run, algorithm: HashChoice = "blake3") -> VerifyReport:
    """Refuse an archive that is not as it was sealed, before something is made of it.

    Args:
        run: the archive.
        algorithm: as of `verify`.

    Returns:
        The report, which has no finding.

    Raises:
        RunStateError: it is not sealed, or not whole.
    """
    if run.seal_id is None:
        raise RunStateError(f"{run.path} is not sealed; `archiver finalize` seals it and makes its report.")
    report = verify(run.path, algorithm=algorithm)
    if report.findings:
        first = report.findings[0].describe()
        raise RunStateError(f"{run.path} is not as it was sealed ({first}); `archiver verify` says more.")
    return report


def _report_of_all(
    wrapped: Unwrapped, inspection: Inspection, report: VerifyReport, on_bytes: Callable[[int], None] | None
) -> VerifyReport:
    """The report of an archive and of the bag or zip file around it, with paths in that."""
    prefix = wrapped.inside(wrapped.folder)
    findings, information = wrapped.placed(report.findings, prefix), wrapped.placed(report.information, prefix)
    count, size = report.files_checked, report.bytes_checked
    if wrapped.bag is not None:
        bag = BagInspection(wrapped.bag, f"{wrapped.folder.relative_to(wrapped.bag).as_posix()}/", on_bytes=on_bytes)
        check_bag(bag, inspection.listed if report.seal_id else {}, report.seal_id)
        inside = wrapped.inside(wrapped.bag)
        known = {(finding.code, finding.path) for finding in findings}
        told = wrapped.placed(bag.findings, inside)
        findings = (*findings, *(finding for finding in told if (finding.code, finding.path) not in known))
        information = (*information, *wrapped.placed(bag.information, inside))
        count, size = len(bag.sizes), sum(bag.sizes.values())
    return replace(
        report,
        path=wrapped.path,
        wrapping=wrapped.wrapping,
        files_checked=count,
        bytes_checked=size,
        findings=findings,
        information=information,
    )


def _signature_check(public_key: str | os.PathLike[str]) -> Callable[[Inspection], None]:
    from archiver.archive.signature import check_signature, load_public_key  # what few ask for is imported for them

    key = load_public_key(public_key)
    return lambda inspection: check_signature(inspection, key)


def _inform_of_signature(inspection: Inspection) -> None:
    what = "a signature is there and was not checked (--signature --public-key KEY checks it)"
    if inspection.seal_id is None:
        what = "a signature is there, and no seal that it could be over"
    inspection.inform("signature", layout.SIGNATURE.pattern, what)


def _report(inspection: Inspection, algorithms: tuple[str, ...], expected: str | None) -> VerifyReport:
    run = inspection.run
    return VerifyReport(
        path=str(run.path),
        name=run.name,
        status=_status(run),
        seal_id=inspection.seal_id,
        algorithms=algorithms,
        files_checked=len(inspection.sizes),
        bytes_checked=sum(inspection.sizes.values()),
        findings=tuple(inspection.findings),
        information=tuple(inspection.information),
        tensors_checked=inspection.tensors_checked,
        expected_seal_id=expected,
        signed_by=inspection.signed_by,
    )


def _status(run: Run) -> str:
    try:
        return run.status.describe()
    except ArchiverError as error:
        return f"unknown: {error}"


def _list_files(inspection: Inspection) -> None:
    folders: set[str] = set()
    try:
        with opened_folder(inspection.run.path) as root:
            for entry in walk(root, lambda path, error: _unlistable(inspection, path, error)):
                _list_one(inspection, entry, folders)
    except ArchiverError as error:
        inspection.find("unreadable", "", f"its files cannot be listed: {error}")
    if layout.MANIFEST_BLAKE3.pattern in inspection.sizes:
        used = {parent for path in inspection.sizes for parent in _parents(path)} | inspection.unlistable
        for folder in sorted(folders - used):
            _unlisted_folder(inspection, folder)


def _unlisted_folder(inspection: Inspection, folder: str) -> None:
    left = left_behind(folder)
    if left is None:
        inspection.find("unlisted", folder, "is a folder without files, which no manifest knows")
    elif ("unlisted", left.path) not in inspection.reported:
        inspection.find("unlisted", left.path, f"is not known to any manifest: {left.who}", "left_behind")


def _unlistable(inspection: Inspection, folder: str, error: OSError) -> None:
    inspection.unlistable.add(folder)
    explanation = explain_refusal(inspection, folder, error)
    message = explanation.message if explanation else f"cannot be listed: {error.strerror or error}"
    inspection.find("unreadable", folder, message, explanation.cause if explanation else None)


def _list_one(inspection: Inspection, entry: Entry, folders: set[str]) -> None:
    if entry.kind == "folder":
        folders.add(entry.path)
    elif entry.kind == "file" and entry.path == layout.SIGNATURE.pattern:
        _list_signature(inspection, entry.size_bytes)
    elif entry.kind == "file":
        inspection.sizes[entry.path] = entry.size_bytes
        inspection.newest_ns = max(inspection.newest_ns, entry.modified_ns)
        if entry.link_count > 1:
            inspection.inform("hard_link", entry.path, f"has {entry.link_count} hard links")
    else:
        explanation = explain_link(inspection, entry.path) if entry.kind == "symlink" else None
        message = explanation.message if explanation else f"is a {entry.kind}"
        cause = explanation.cause if explanation else None
        inspection.find("not_a_regular_file", entry.path, f"{message}; it was not followed", cause)


def _list_signature(inspection: Inspection, size: int) -> None:
    """No manifest lists it, and so it is not among the files that are compared with them."""
    if size > MAXIMAL_SIGNATURE_BYTES:
        message = f"received {size} bytes; expected a signature of at most {MAXIMAL_SIGNATURE_BYTES}"
        inspection.find("signature", layout.SIGNATURE.pattern, message)
    else:
        inspection.signature_bytes = size


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        yield "/".join(parts[:count])


def _check_secrets(inspection: Inspection) -> None:
    try:
        search = search_secrets(inspection.run)
        allowed = allowed_secrets(inspection.run.journal.read())
    except (ArchiverError, OSError) as error:
        inspection.find("unreadable", "", f"it cannot be searched for secrets: {error}")
        return
    for each in search.findings:
        tell = inspection.inform if (each.file, each.kind) in allowed else inspection.find
        tell("secret", f"{each.file}:{each.line}" if each.line else each.file, f"{each.kind} ({each.hint})")
    for path in search.not_whole:
        inspection.inform("secret", path, "was not searched for secrets to its end: it is too large, or no text")


def _say_refused(inspection: Inspection) -> None:
    """Where sealing was refused, say why."""
    try:
        refused = refused_secrets(inspection.run.journal.read())
    except ArchiverError:
        return  # reported with the journal
    if refused:
        inspection.find("not_sealed", "", message_of(inspection.run, refused))


def _read_manifests(inspection: Inspection) -> None:
    seal = layout.MANIFEST_BLAKE3.pattern
    if seal not in inspection.sizes:
        status = _status(inspection.run)
        inspection.find("not_sealed", "", f"the archive is not sealed: there is no {seal}; the run is {status}")
        _say_refused(inspection)
    for algorithm, name in MANIFEST_NAMES.items():
        if name not in inspection.sizes:
            if seal in inspection.sizes:
                inspection.find("missing", name, "the manifest is missing")
            continue
        data = _read(inspection, name)
        if data is None:
            continue
        if name == seal:
            inspection.seal_id = sha256_of(data)
        inspection.listed[algorithm], faults = manifests.parse_manifest(data, algorithm)
        conversion = undone_manifest(data, algorithm)
        if conversion is not None:
            inspection.undone[name] = conversion.original
            inspection.listed[algorithm], faults = manifests.parse_manifest(conversion.original, algorithm)
            if name == seal:
                inspection.seal_id = sha256_of(conversion.original)
            inspection.find("manifest", name, f"{conversion.what}; each line is whole without it", conversion.cause)
        for fault in faults:
            inspection.find("manifest", f"{name}:{fault.line}", fault.reason)


def _read(inspection: Inspection, name: str) -> bytes | None:
    try:
        return read_below(inspection.run.path, name, MAXIMAL_MANIFEST_BYTES)
    except (OSError, ArchiverError) as error:
        _unreadable(inspection, name, error)
        return None


def _unreadable(inspection: Inspection, path: str, error: Exception) -> None:
    if ("unreadable", path) in inspection.reported:
        return
    explanation = explain_refusal(inspection, path, error)
    message = explanation.message if explanation else str(error)
    inspection.find("unreadable", path, message, explanation.cause if explanation else None)


def _compare_lists(inspection: Inspection) -> None:
    """Missing and unlisted files, and whether the manifests list the same ones."""
    if layout.MANIFEST_BLAKE3.pattern not in inspection.sizes:
        return
    order = list(MANIFEST_NAMES)
    _find_elsewhere(inspection)
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
    if path == layout.SIGNATURE.pattern:
        inspection.find("manifest", manifest, f"lists {path}, which no manifest may list")
    elif path not in inspection.sizes and not inspection.is_explained(path):
        explanation = explain_absence(inspection, path)
        message = explanation.message if explanation else f"is listed in {manifest} and not there"
        inspection.find("missing", path, message, explanation.cause if explanation else None)


def _find_elsewhere(inspection: Inspection) -> None:
    """One finding for a file that is missing under its name and there under another."""
    listed = next(reversed(inspection.listed.values()), {})
    missing = [path for path in listed if path not in inspection.sizes and not inspection.is_below_unlistable(path)]
    unlisted = set(inspection.sizes) - set(listed) - {layout.MANIFEST_BLAKE3.pattern}
    for path, elsewhere in find_elsewhere(inspection, missing, unlisted).items():
        inspection.find("missing", path, elsewhere.message, elsewhere.cause)
        inspection.elsewhere.add(elsewhere.path)


def _unlisted(inspection: Inspection, manifest: str, path: str, *, first: bool) -> None:
    if path in inspection.elsewhere or (not first and ("unlisted", path) in inspection.reported):
        return
    left = left_behind(path, inspection.listed_names)
    if left is None:
        inspection.find("unlisted", path, f"is not listed in {manifest}")
    elif ("unlisted", left.path) not in inspection.reported:
        inspection.find("unlisted", left.path, f"is not listed in {manifest}: {left.who}", "left_behind")


def _check_bytes(inspection: Inspection, algorithms: tuple[str, ...], on_bytes: Callable[[int], None] | None) -> None:
    wanted = _expected_digests(inspection, algorithms)
    sizes = {path: inspection.sizes[path] for path in wanted}
    results: dict[str, dict[str, str] | Exception] = {}

    def hash_one(path: str) -> None:
        try:
            with open_below(inspection.run.path, path) as file:
                results[path] = file_digests(file, wanted[path], on_bytes)
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
        _unreadable(inspection, path, found)
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

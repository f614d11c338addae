"""`verify`: is the archive whole? Reads everything, follows no link, runs nothing, needs no Keras."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from archiver import layout
from archiver.archive import agreement
from archiver.archive.bags import BagInspection, check_bag
from archiver.archive.deep import check_tensors
from archiver.archive.expecting import check_expected, checked_seal_id
from archiver.archive.file_bytes import check_bytes
from archiver.archive.file_list import list_files
from archiver.archive.findings import VerifyReport
from archiver.archive.inspection import Inspection
from archiver.archive.manifest_list import compare_lists, read_manifests
from archiver.archive.run import Run
from archiver.archive.secret_findings import check_secrets
from archiver.archive.unfetched import Unfetched
from archiver.archive.unwrapping import Unwrapped, unwrapped
from archiver.errors import ArgumentError, RunStateError
from archiver.storage.digests import ALGORITHMS
from archiver.storage.hashing_ahead import HashingAhead

HashChoice = Literal["blake3", "sha256", "md5", "all"]


def verify(
    path: str | os.PathLike[str],
    *,
    algorithm: HashChoice = "blake3",
    deep: bool = False,
    secrets: bool = False,
    expect: str | None = None,
    public_key: str | os.PathLike[str] | None = None,
    on_bytes: Callable[[int], None] | None = None,
    unfetched: Unfetched | None = None,
    hashing_ahead: HashingAhead | None = None,
) -> VerifyReport:
    """Check one archive.

    Args:
        path: the folder of the run; or a bag or a zip file with it, as `archiver export` writes them.
        algorithm: the digests to check the bytes against: "blake3", "sha256", "md5" or "all". The manifests are
            checked against each other whatever is chosen, but no other file holds the digests in
            manifest-blake3.txt: that one of them is damaged shows with "blake3" and "all" only.
        deep: also compare every tensor inside every model file with its recorded digest. Of a model file whose bytes
            were changed, the tensors are always compared.
        secrets: also search it for tokens and passwords.
        expect: the seal id that was written down elsewhere, all of its 64 digits: another seal is a finding, which
            says what became of that one as far as the archive tells.
        public_key: file with a public key in PEM: also check that the archive is signed (`model.sig`), with that key,
            over this very seal.
        on_bytes: is told how many more bytes were checked, on any thread; for a progress bar.
        unfetched: what of it lies elsewhere, where the folder holds only its documents.
        hashing_ahead: has been hashing this folder's large files since before this module was imported.

    Returns:
        The report; an archive that is not sealed has a finding that says so.

    Raises:
        NotAnArchiveError: there is no archive.
        ArgumentError: no such algorithm; `expect` is no seal id; the public key cannot be used.
        MissingExtraError: a signature is to be checked, and `cryptography` is not installed.
        UnsafeFileError: a zip file asks for what unpacking must not do.
        DamagedFileError: a zip file cannot be unpacked.
        StorageError: there is no room to unpack it.
        RemoteError: what lies elsewhere cannot be read.
    """
    if algorithm not in (*ALGORITHMS, "all"):
        raise ArgumentError(f"Received algorithm={algorithm!r}. Expected 'blake3', 'sha256', 'md5' or 'all'.")
    algorithms = ALGORITHMS if algorithm == "all" else (algorithm,)
    expected = checked_seal_id(expect) if expect is not None else None
    check_signature = _signature_check(public_key) if public_key is not None else _inform_of_signature
    with unwrapped(path) as wrapped:
        inspection = Inspection(Run.open(wrapped.folder), hashing_ahead, unfetched or Unfetched())
        list_files(inspection)
        read_manifests(inspection)
        compare_lists(inspection)
        check_bytes(inspection, algorithms, on_bytes)
        agreement.check(inspection)
        if expected is not None:
            check_expected(inspection, expected)
        check_signature(inspection)
        if deep or inspection.damaged:
            check_tensors(inspection, deep=deep)
        if secrets:
            check_secrets(inspection)
        inspection.count_the_rest()
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
    if inspection.signature_bytes is None:
        return
    what = "a signature is there and was not checked (--signature --public-key KEY checks it)"
    if inspection.seal_id is None:
        what = "a signature is there, and no seal that it could be over"
    inspection.inform("signature", layout.SIGNATURE.pattern, what)


def _report(inspection: Inspection, algorithms: tuple[str, ...], expected: str | None) -> VerifyReport:
    run = inspection.run
    return VerifyReport(
        path=str(run.path),
        name=run.name,
        status=run.status_text,
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

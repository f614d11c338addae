"""`verify` wherever an archive lies: in a store, its documents are fetched, and large files pass through the hasher."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from archiver.archive import verifying
from archiver.archive.findings import VerifyReport
from archiver.archive.verifying import HashChoice
from archiver.remote.patience import PATIENT, Patience
from archiver.remote.urls import is_url, open_remote


def verify(
    path: str | os.PathLike[str],
    *,
    algorithm: HashChoice = "blake3",
    deep: bool = False,
    secrets: bool = False,
    expect: str | None = None,
    public_key: str | os.PathLike[str] | None = None,
    on_bytes: Callable[[int], None] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    patience: Patience = PATIENT,
) -> VerifyReport:
    """Check one archive.

    Args:
        path: the folder of the run; or a bag or a zip file with it, as `archiver export` writes them; or the URL of
            one of these, such as `s3://bucket/runs/a_models`.
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
        storage_options: for a URL: what fsspec's file system is given; kept in memory only.
        patience: for a URL: how often each request is tried.

    Returns:
        The report; an archive that is not sealed has a finding that says so.

    Raises:
        NotAnArchiveError: there is no archive.
        ArgumentError: no such algorithm; `expect` is no seal id; the public key or the URL cannot be used.
        MissingExtraError: a signature is to be checked, and `cryptography` is not installed; or the library of a URL's
            scheme.
        UnsafeFileError: a zip file asks for what unpacking must not do.
        DamagedFileError: a zip file cannot be unpacked.
        StorageError: there is no room to unpack it.
        RemoteError: the store cannot be reached, or refused.
    """
    options: dict[str, Any] = {"algorithm": algorithm, "deep": deep, "secrets": secrets, "expect": expect}
    options |= {"public_key": public_key, "on_bytes": on_bytes}
    if not isinstance(path, str) or not is_url(path):
        return verifying.verify(path, **options)
    from archiver.remote.fetching import fetched_run

    with fetched_run(path, storage_options=storage_options, whole=deep or secrets, patience=patience) as found:
        report = verifying.verify(found.folder, unfetched=found.unfetched, **options)
    findings, information = (
        tuple(replace(each, message=found.named(each.message)) for each in group)
        for group in (report.findings, report.information)
    )
    return replace(report, path=found.remote.url, findings=findings, information=information)


def find_remote_archives(url: str, storage_options: Mapping[str, Any] | None = None) -> list[str]:
    """The URLs of the archives at and below a URL, sorted; the URL itself where there are none.

    Raises:
        ArgumentError: no such URL.
        MissingExtraError: the library of its scheme is not installed.
        RemoteError: the store cannot be reached, or refused.
    """
    from archiver.remote.listing import archive_folders, list_remote

    remote = open_remote(url, storage_options)
    folders = archive_folders(list_remote(remote))
    if folders in ([], [""]):
        return [url]
    return [f"{url.rstrip('/')}/{folder}" for folder in folders]

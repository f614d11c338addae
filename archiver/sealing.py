"""The one place that knows the order of sealing, and the rules for changing a sealed archive.

Order, so that nothing is circular and nothing uncovered: data, journal (last line `sealed`) -> README -> RO-Crate ->
metadata (MD5 of all so far) -> manifest-md5 -> manifest-sha256 (covers manifest-md5 too) -> manifest-blake3 (covers
both), written last: its presence means sealed. The *seal id* is the SHA-256 of manifest-blake3.txt. A signature
(`model.sig`) is made after that and stands in no manifest.

A sealed archive is changed between `unseal` and `seal`; each seal names the one before it, so the seals form a chain.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import asdict
from datetime import datetime
from time import perf_counter

from archiver import layout
from archiver._resources import resource_folder
from archiver.archive.completeness import missing_files
from archiver.archive.documents import MAXIMAL_DOCUMENT_BYTES, document_bytes
from archiver.archive.failures import record_failure
from archiver.archive.run import Run
from archiver.archive.secrets import ALLOWED, REFUSED, refused_secrets, require_allowed, search_secrets
from archiver.errors import ArchiverError, RunStateError, SecretsFoundError
from archiver.records.base import FORMAT_VERSION, local_offset_seconds, utc_now
from archiver.records.manifest import FilePart, Metadata
from archiver.report.context import Records, read_records
from archiver.report.crate.files import CrateFile
from archiver.report.crate.outline import Outline, outline
from archiver.report.crate.software import entry_of
from archiver.report.drawing import draw_figures
from archiver.report.inventory import InventoryLine
from archiver.report.report import Report, ReportOptions, plain_report, render
from archiver.storage import files
from archiver.storage.digests import ALGORITHMS, bytes_digests, content_swhid, sha256_of
from archiver.storage.hashing import hash_files, regular_files
from archiver.storage.journal import Journal, events_named
from archiver.storage.manifests import MANIFEST_NAMES, PREVIOUS_SEAL, check_names, format_manifest
from archiver.storage.reading import read_below
from archiver.version import __version__

DEFAULT_REPORT = ReportOptions()

Digests = dict[str, dict[str, str]]


def seal(
    run: Run,
    journal: Journal | None = None,
    report: ReportOptions = DEFAULT_REPORT,
    *,
    allow_secrets: bool = False,
) -> str:
    """Seal the archive: write README, metadata and manifests over whatever is in it.

    Args:
        run: an archive that is not sealed.
        journal: the live journal of the run, where there is one.
        report: how the report is made.
        allow_secrets: seal although something in it looks like a secret; the journal says so.

    Returns:
        The seal id.

    Raises:
        RunStateError: it is sealed already.
        SecretsFoundError: something in it looks like a secret; the archive stays unsealed, with its data.
        UnsafePathError: a file has a name that cannot stand in a manifest; rename it and seal again.
        StorageError: the file system refused; the archive stays unsealed, with its data.
    """
    if run.seal_id is not None:
        raise RunStateError(f"{run.path} is sealed already (seal id {run.seal_id})")
    began = perf_counter()
    journal = journal or run.journal
    journal.drop_reserve()
    files.remove_temporaries(run.path)
    check_names(regular_files(run.path))
    _end_unsealing(run, journal)
    _copy_schemas(run)
    records = read_records(run)
    made = _report(run, records, journal, report)
    files.remove_empty_folders(run.path)
    paths = regular_files(run.path)
    _excuse_missing(run, journal, paths)
    _check_secrets(run, journal, made, allow=allow_secrets)
    crate = _crate(run, records, journal, paths)
    previous = _previous_seal_id(run)
    journal.append("sealed", previous_seal_id=previous)
    return _write_seal(run, made, crate, previous, began)


def written_here(run: Run) -> set[str]:
    """What sealing writes, over what an earlier seal has left of it."""
    return {
        layout.README.pattern,
        layout.README_HTML.pattern,
        layout.CRATE.pattern,
        layout.METADATA.path(run.name),
        *MANIFEST_NAMES.values(),
    }


def _check_secrets(run: Run, journal: Journal, report: Report, *, allow: bool) -> None:
    """Search what will be sealed; in its report, the page follows from the text, and the figures from the records."""
    figures = {path for path in regular_files(run.path) if layout.FIGURES.matches(path, run.name)}
    found = search_secrets(
        run, leave_out=written_here(run) | figures, texts={layout.README.pattern: report.markdown}
    ).findings
    contents = journal.read()
    told = [asdict(each) for each in found]
    try:
        require_allowed(run, found, contents)
    except SecretsFoundError:
        if not allow:
            if refused_secrets(contents) != list(found):  # the same again is told once
                journal.append(REFUSED, findings=told)
            raise
        journal.append(ALLOWED, findings=told)


def _write_seal(run: Run, report: Report, crate: Outline | None, previous: str | None, began: float) -> str:
    written = written_here(run)
    sizes = {path: size for path, size in regular_files(run.path).items() if path not in written}
    with files.explained("read the files of", run.path):
        digests = hash_files(run.path, sizes, ALGORITHMS)
    lines = [InventoryLine(path, sizes[path], digests[path]["md5"], describe(run, path)) for path in sorted(sizes)]
    for path, text in report.filled(lines).items():
        _add(run, path, text.encode(), sizes, digests)
    sealed = utc_now()
    if crate is not None:
        _add(run, layout.CRATE.pattern, crate.filled(_crate_files(run, sizes, digests), sealed), sizes, digests)
    metadata = _metadata(run, sizes, digests, previous, sealed=sealed, sealing_seconds=perf_counter() - began)
    _add(run, layout.METADATA.path(run.name), document_bytes(metadata), sizes, digests)
    for algorithm, name in MANIFEST_NAMES.items():
        manifest = format_manifest({path: each[algorithm] for path, each in digests.items()})
        _add(run, name, manifest, sizes, digests)
    files.flush_in_background(run.path)
    return sha256_of(manifest)


def _add(run: Run, path: str, data: bytes, sizes: dict[str, int], digests: Digests) -> None:
    files.write_bytes(run.path / path, data)
    sizes[path] = len(data)
    digests[path] = bytes_digests(data, ALGORITHMS)


def _metadata(
    run: Run,
    sizes: dict[str, int],
    digests: Digests,
    previous: str | None,
    *,
    sealed: datetime,
    sealing_seconds: float,
) -> Metadata:
    status = run.status
    return Metadata(
        schema_reference=layout.schema_reference(layout.METADATA.path(run.name), Metadata.KIND),
        name=run.name,
        archiver_version=__version__,
        sealed=sealed,
        local_offset_seconds=local_offset_seconds(),
        sealing_seconds=sealing_seconds,
        status=status.status,
        stop_reason=status.stop_reason,
        previous_seal_id=previous,
        total_bytes=sum(sizes.values()),
        files={
            path: FilePart(size_bytes=sizes[path], md5=digests[path]["md5"], description=describe(run, path))
            for path in sorted(sizes)
        },
    )


def describe(run: Run, path: str) -> str:
    """What a file is, as inventory and metadata say."""
    entry = layout.entry_for(path, run.name)
    return entry.description if entry else "not known to this version of the format"


def unseal(run: Run, journal: Journal | None = None) -> None:
    """Open a sealed archive for a change; for one that is not sealed, bring an interrupted `unseal` to its end.

    The first step is a rename, so that at any moment the archive is either sealed or says that it is not.
    """
    journal = journal or run.journal
    seal_file = run.path_of(layout.MANIFEST_BLAKE3)
    if seal_file.exists():
        files.rename(seal_file, run.path / PREVIOUS_SEAL)
    _end_unsealing(run, journal)


def _end_unsealing(run: Run, journal: Journal) -> None:
    """Say in the journal, once, which seal is no longer there, and remove what is left of it or of one that failed."""
    journal.mend()
    seal_id = _previous_seal_id(run)
    known = [event.details.get("seal_id") for event in events_named(journal.read(), "unsealed")]
    if seal_id is not None and seal_id not in known:
        journal.append(
            "unsealed", seal_id=seal_id, sealing_seconds=_sealing_seconds(run), signed=run.has(layout.SIGNATURE)
        )
    if run.has(layout.SIGNATURE):
        files.remove(run.path_of(layout.SIGNATURE))  # it is over what is sealed no longer
    for name in reversed(MANIFEST_NAMES.values()):
        files.remove(run.path / name)


def _sealing_seconds(run: Run) -> float | None:
    """What the seal took that is being removed, as its metadata says."""
    try:
        metadata = run.read_if_there(layout.METADATA)
    except ArchiverError:
        return None
    return metadata.sealing_seconds if metadata else None


@contextlib.contextmanager
def changing(
    run: Run,
    journal: Journal | None = None,
    report: ReportOptions = DEFAULT_REPORT,
    *,
    allow_secrets: bool = False,
) -> Iterator[None]:
    """Unseal, let the body change the archive, and seal.

    When the body raises, the archive stays unsealed: what is derived from its data may not have been written anew.
    """
    unseal(run, journal)
    yield
    seal(run, journal, report, allow_secrets=allow_secrets)


def _report(run: Run, records: Records, journal: Journal, options: ReportOptions) -> Report:
    draw_figures(run, records, journal, wanted=options.figures)
    try:
        return render(run, records, options)
    except Exception as error:  # noqa: BLE001 - a report that cannot be made must not cost the seal
        record_failure(journal, "report", error)
        return plain_report(run)


def _crate(run: Run, records: Records, journal: Journal, paths: Collection[str]) -> Outline | None:
    """All of the crate but the files, written once for nothing: what can fail shall fail before the last line."""
    try:
        entry = entry_of(records, paths)
        swhid = content_swhid(read_below(run.path, entry, MAXIMAL_DOCUMENT_BYTES)) if entry is not None else None
        made = outline(run.name, run.status, records, paths, swhid)
        made.filled((), utc_now())
    except Exception as error:  # noqa: BLE001 - a crate that cannot be made must not cost the seal
        record_failure(journal, "crate", error, layout.CRATE.pattern)
        files.remove(run.path_of(layout.CRATE))
        return None
    return made


def _crate_files(run: Run, sizes: dict[str, int], digests: Digests) -> list[CrateFile]:
    """The files so far, and those that are written after the crate."""
    found = [CrateFile(path, describe(run, path), sizes[path], digests[path]["sha256"]) for path in sizes]
    later = (layout.METADATA.path(run.name), *MANIFEST_NAMES.values())
    return sorted([*found, *(CrateFile(path, describe(run, path)) for path in later)], key=lambda file: file.path)


def _excuse_missing(run: Run, journal: Journal, paths: Collection[str]) -> None:
    """Say in the journal which files the run did not come to write, since it was killed or interrupted."""
    error = RunStateError("it was not there when the archive was sealed")
    for entry in missing_files(journal.read(), run.name, paths):
        if entry.need != "sealed":
            record_failure(journal, entry.description, error, entry.path(run.name))


def _previous_seal_id(run: Run) -> str | None:
    previous = run.path / PREVIOUS_SEAL
    return sha256_of(previous.read_bytes()) if previous.exists() else None


def _copy_schemas(run: Run) -> None:
    source = resource_folder("schemas") / f"v{FORMAT_VERSION}"
    for path in sorted(source.glob("*.schema.json")):
        target = run.path / "schemas" / path.name
        data = path.read_bytes()
        if not target.exists() or target.read_bytes() != data:
            files.write_bytes(target, data)

"""Whether the records of an archive can be read, are complete, and agree with each other.

An archive that is not sealed is being changed, or was left in the middle of a change: each of its records must be
readable, but nothing is said of what they make of each other.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter

from archiver import layout
from archiver.archive.clocks import inform_of_clocks
from archiver.archive.completeness import excused_files, missing_files
from archiver.archive.crate_agreement import check_crate
from archiver.archive.documents import MAXIMAL_DOCUMENT_BYTES, parse_document
from archiver.archive.inspection import Inspection
from archiver.archive.model_agreement import check_model
from archiver.archive.outcome import build_history, derived_sections
from archiver.archive.schemas import SCHEMA_KINDS, known_schemas
from archiver.archive.secrets import allowed_secrets
from archiver.archive.telemetry_agreement import check_telemetry
from archiver.archive.trust import tell
from archiver.archive.worker_agreement import check_workers
from archiver.errors import ArchiverError
from archiver.layout import RecordFile
from archiver.records.base import FORMAT_VERSION, Record, Unavailable
from archiver.storage.journal import MAXIMAL_JOURNAL_BYTES, JournalContents, events_named, parse_journal
from archiver.storage.manifests import PREVIOUS_SEAL
from archiver.version import __version__

R = TypeVar("R", bound=Record)

Records = dict[str, Record]

MAXIMAL_RECORDS_BYTES = 512 << 20
"""Of all records together, which are kept at the same time; in memory they take several times as much."""


def check(inspection: Inspection) -> None:
    """Everything that can be told without looking at bytes twice."""
    journal = _read_journal(inspection)
    records = _read_records(inspection)
    if layout.MANIFEST_BLAKE3.pattern in inspection.sizes:
        _check_agreement(inspection, journal, records)
    tell(inspection, records)
    inform_of_clocks(inspection, journal)


def _check_agreement(inspection: Inspection, journal: JournalContents | None, records: Records) -> None:
    inspection.excused = excused_files(journal) if journal is not None else set()
    _check_completeness(inspection, journal)
    _check_schemas(inspection, records)
    if journal is not None:
        _check_seal_chain(inspection, journal, records)
        _check_history(inspection, journal, records)
    _check_weights(inspection, records)
    check_model(inspection, journal, records, _disagree)
    check_telemetry(inspection, journal, records, _disagree)
    check_workers(inspection, records, _disagree)
    _check_metadata(inspection, records)
    check_crate(inspection)


def _read_journal(inspection: Inspection) -> JournalContents | None:
    path = layout.JOURNAL.pattern
    if path not in inspection.sizes:
        inspection.find("journal", path, "there is no journal")
        return None
    try:
        contents = parse_journal(inspection.read(path, MAXIMAL_JOURNAL_BYTES))
    except (OSError, ArchiverError) as error:
        if ("unreadable", path) not in inspection.reported:
            inspection.find("journal", path, str(error))
        return None
    for line, reason in contents.faults:
        inspection.find("journal", f"{path}:{line}", reason)
    if contents.torn_bytes:
        inspection.find("journal", path, f"its last line is cut short ({contents.torn_bytes} bytes without an end)")
    for event in events_named(contents, "step_failed"):
        _inform_of_failure(inspection, event.details)
    for event in events_named(contents, "published"):
        original = event.details.get("original_seal_id")
        inspection.inform("published", "", f"this is a public copy of the archive with the seal id {original}")
    for file, kind in sorted(allowed_secrets(contents)):
        inspection.inform("secret", file, f"{kind}: somebody allowed it when the archive was sealed")
    return contents


def _inform_of_failure(inspection: Inspection, details: dict[str, Any]) -> None:
    exception = details.get("exception") or {}
    what = f"{exception.get('type')}: {exception.get('message')}" if isinstance(exception, dict) else exception
    inspection.inform("step_failed", str(details.get("file") or ""), f"{details.get('step')} failed: {what}")


def _read_records(inspection: Inspection) -> Records:
    records: Records = {}
    total_bytes = 0
    for entry in layout.RECORD_FILES:
        path = entry.path(inspection.run.name)
        if path not in inspection.sizes:
            continue
        try:
            record = _read_record(inspection, entry, path)
        except ArchiverError as error:
            if ("unreadable", path) in inspection.reported:
                continue
            for fault in str(error).splitlines():
                inspection.find("record", path, fault.removeprefix(f"{inspection.run.path / path}"))
            continue
        total_bytes += inspection.sizes[path]
        if total_bytes > MAXIMAL_RECORDS_BYTES:
            message = (
                f"received {total_bytes} bytes of records up to this one, expected at most {MAXIMAL_RECORDS_BYTES}"
            )
            inspection.find("record", path, message)
            continue
        records[entry.record.KIND] = record
        expected = layout.schema_reference(path, entry.record.KIND)
        if record.schema_reference != expected:
            message = f"received {record.schema_reference!r}, expected {expected!r}"
            inspection.find("schema", f"{path}#/$schema", message)
    return records


def _read_record(inspection: Inspection, entry: RecordFile[R], path: str) -> R:
    if path in inspection.undone:
        return parse_document(inspection.undone[path], entry.record, str(inspection.run.path / path))
    if path in inspection.unfetched.sizes:  # it is too large to be one, which reading it tells
        data = inspection.read_now(path, MAXIMAL_DOCUMENT_BYTES)
        return parse_document(data, entry.record, str(inspection.run.path / path))
    return inspection.run.read(entry)


def _check_completeness(inspection: Inspection, journal: JournalContents | None) -> None:
    name = inspection.run.name
    for entry in missing_files(journal, name, inspection.sizes):
        path = entry.path(name)
        if not inspection.is_explained(path):
            inspection.find("missing", path, f"there is no {entry.description}, and the journal does not say why")
    listed = next(reversed(inspection.listed.values()), {})
    for path in sorted(set(inspection.sizes) & set(listed)):
        if layout.entry_for(path, name) is None:
            inspection.inform("unknown_file", path, "is no part of the format; it was sealed with the rest")


def _check_schemas(inspection: Inspection, records: Records) -> None:
    for kind in SCHEMA_KINDS:
        path = f"schemas/{layout.schema_file(kind)}"
        if path not in inspection.sizes and kind in records and not inspection.is_explained(path):
            inspection.find("missing", path, f"there is a record of the kind {kind}, and not its schema")
        elif path not in inspection.sizes or path in inspection.damaged:
            continue
        elif inspection.sha256(path) not in known_schemas(kind):
            message = f"is no schema that archiver wrote for format version {FORMAT_VERSION} up to {__version__}"
            inspection.find("schema", path, message)


def _check_seal_chain(inspection: Inspection, journal: JournalContents, records: Records) -> None:
    if not journal.events or journal.events[-1].event != "sealed":
        inspection.find("seal_chain", layout.JOURNAL.pattern, "its last line is not `sealed`, though the archive is")
    unsealed = [event.details.get("seal_id") for event in events_named(journal, "unsealed")]
    previous = _previous_seal_id(inspection)
    if previous != (unsealed[-1] if unsealed else None):
        message = f"received {previous}, expected {unsealed[-1] if unsealed else None} as the journal says"
        inspection.find("seal_chain", PREVIOUS_SEAL, message)
    metadata: Any = records.get("metadata")
    if metadata is not None and metadata.previous_seal_id != previous:
        path = f"{layout.METADATA.path(inspection.run.name)}#/previous_seal_id"
        inspection.find("seal_chain", path, f"received {metadata.previous_seal_id}, expected {previous}")


def _previous_seal_id(inspection: Inspection) -> str | None:
    if PREVIOUS_SEAL not in inspection.sizes:
        return None
    return inspection.sha256(PREVIOUS_SEAL)


def _check_history(inspection: Inspection, journal: JournalContents, records: Records) -> None:
    """History and results are derived from the journal: deriving them again must give the same."""
    history: Any = records.get("history")
    results: Any = records.get("results")
    run = inspection.run
    try:
        derived = build_history(journal)
        sections = derived_sections(journal, derived)
    except ArchiverError as error:
        inspection.find("disagreement", layout.JOURNAL.pattern, str(error))
        return
    if history is not None and _document(history) != _document(derived):
        path = layout.HISTORY.path(run.name)
        _disagree(inspection, path, f"is not what {layout.JOURNAL.pattern} tells of the epochs")
    if results is None:
        return
    path = layout.RESULTS.path(run.name)
    counts = {
        "epoch_count": sum(len(phase.epochs) for phase in derived.phases),
        "phase_count": len(derived.phases),
    }
    for name, expected in counts.items():
        received = getattr(results, name)
        if received != expected:
            _disagree(inspection, f"{path}#/{name}", f"received {received}, expected {expected} (journal)")
    for name, expected in _documents(sections).items():
        if _documents({name: getattr(results, name)})[name] != expected:
            _disagree(inspection, f"{path}#/{name}", f"is not what follows from {layout.JOURNAL.pattern}")


def _disagree(inspection: Inspection, path: str, message: str) -> None:
    """Report a fault, unless the journal says that the file could not be written: then it may be an older one."""
    if path.partition("#")[0] in inspection.excused:
        inspection.inform("disagreement", path, f"{message}; the journal says that it could not be written")
    else:
        inspection.find("disagreement", path, message)


def _documents(sections: dict[str, Any]) -> dict[str, Any]:
    # Documents are compared, not records: NaN equals nothing, not even itself.
    return dict(TypeAdapter(dict[str, Any]).dump_python(sections, mode="json"))


def _document(record: Record) -> str:
    return record.model_copy(update={"schema_reference": ""}).model_dump_json()


def _check_weights(inspection: Inspection, records: Records) -> None:
    weights: Any = records.get("weights")
    if weights is None:
        return
    name = inspection.run.name
    described = (layout.RESULTS, layout.CHECKPOINT_STATE, layout.TEST_SCORES)
    for kind, expected_in in ((file.record.KIND, file) for file in described):
        record: Any = records.get(kind)
        digest = getattr(record, "weights_digest", None)
        if isinstance(digest, str) and digest != weights.weights_digest:
            path = f"{expected_in.path(name)}#/weights_digest"
            _disagree(inspection, path, f"received {digest}, expected {weights.weights_digest}")
    results: Any = records.get("results")
    _check_initial_weights(inspection, weights, results)
    test = getattr(results, "test", None)
    if test is not None and not isinstance(test, Unavailable) and test.weights_digest != weights.weights_digest:
        path = f"{layout.RESULTS.path(name)}#/test/weights_digest"
        _disagree(inspection, path, "the test results are those of other weights")
    _check_format_files(inspection, weights)


def _check_initial_weights(inspection: Inspection, weights: Any, results: Any) -> None:
    digest = results.initial_weights_digest if results is not None else None
    expected = weights.phases[0].initial_weights_digest if weights.phases else None
    if isinstance(digest, str) and digest != expected:
        path = f"{layout.RESULTS.path(inspection.run.name)}#/initial_weights_digest"
        _disagree(inspection, path, f"received {digest}, expected {expected}")


def _check_format_files(inspection: Inspection, weights: Any) -> None:
    for kind, part in weights.formats.items():
        path = f"{layout.WEIGHTS.path(inspection.run.name)}#/formats/{kind}"
        if part.file is None:
            inspection.inform("not_comparable", path, f"was not written: {part.unavailable}")
        elif part.file not in inspection.sizes and not inspection.is_explained(part.file):
            inspection.find("missing", part.file, f"is there according to {path}")


def _check_metadata(inspection: Inspection, records: Records) -> None:
    """The metadata lists all files but itself and the manifests, with the MD5 of the manifest."""
    metadata: Any = records.get("metadata")
    listed = inspection.listed.get("md5")
    if metadata is None or listed is None:
        return
    own = layout.METADATA.path(inspection.run.name)
    for path in sorted((set(listed) - {own}) ^ set(metadata.files)):
        inspection.find("disagreement", f"{own}#/files", f"{path} stands in only one of metadata and manifest-md5.txt")
    for path, part in metadata.files.items():
        if listed.get(path, part.md5) != part.md5:
            inspection.find("disagreement", f"{own}#/files", f"the MD5 of {path} is not that of manifest-md5.txt")
        if inspection.sizes.get(path, part.size_bytes) != part.size_bytes and path not in inspection.damaged:
            inspection.find("disagreement", f"{own}#/files", f"the size of {path} is not the one recorded")

"""Whether the processes that trained together agreed, and whether the record of them is drawn from what they wrote."""

from __future__ import annotations

from typing import Any

from archiver import layout
from archiver.archive.inspection import Inspection
from archiver.archive.model_agreement import Disagree
from archiver.archive.workers import EVENTS_NAME, FOLDER, MAXIMAL_EVENTS_BYTES, MAXIMAL_WORKERS, build_workers
from archiver.errors import ArchiverError
from archiver.records.base import Record
from archiver.storage.journal import JournalContents, parse_journal


def check_workers(inspection: Inspection, records: dict[str, Record], disagree: Disagree) -> None:
    """Report replicas that were not in step, processes that did not end well, and a record that says otherwise."""
    record: Any = records.get("workers")
    contents = _events(inspection)
    if record is None:
        if contents:
            path = layout.WORKERS.path(inspection.run.name)
            disagree(inspection, path, f"is not there, though {FOLDER}/ is")
        return
    path = layout.WORKERS.path(inspection.run.name)
    for part in record.workers:
        if part.outcome != "complete":
            inspection.inform("worker", f"{FOLDER}/{part.index}", f"is {part.outcome}: {part.reason}")
    for each in record.disagreements:
        message = f"after epoch {each.epoch} of phase {each.phase} the weights differed between the processes"
        inspection.find("replicas", f"{path}#/disagreements", message)
    reasons = {part.index: part.reason for part in record.workers if part.reason is not None}
    if build_workers(contents, record.count, reasons).model_dump_json() != _plain(record):
        disagree(inspection, path, f"is not what follows from {FOLDER}/")


def _plain(record: Any) -> str:
    return str(record.model_copy(update={"schema_reference": ""}).model_dump_json())


def _events(inspection: Inspection) -> dict[int, JournalContents]:
    found: dict[int, JournalContents] = {}
    for path in sorted(inspection.sizes):
        parts = path.split("/")
        if len(parts) != 3 or (parts[0], parts[2]) != (FOLDER, EVENTS_NAME) or not parts[1].isdecimal():  # noqa: PLR2004
            continue
        if len(found) < MAXIMAL_WORKERS and len(parts[1]) <= len(str(MAXIMAL_WORKERS)):
            try:
                found[int(parts[1])] = parse_journal(inspection.read(path, MAXIMAL_EVENTS_BYTES))
            except (OSError, ArchiverError) as error:
                inspection.find("journal", path, str(error))
    return found

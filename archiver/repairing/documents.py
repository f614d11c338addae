"""Proposals for records that follow from other files: schemas, history, results, metadata, report."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from archiver import layout
from archiver._resources import resource_folder
from archiver.archive.documents import document_bytes
from archiver.archive.outcome import build_history
from archiver.archive.run import Run
from archiver.closing import outcome
from archiver.layout import RecordFile
from archiver.records.base import FORMAT_VERSION, Record
from archiver.records.manifest import FilePart, Metadata
from archiver.repairing.workbench import Bench, Candidate, of_bytes
from archiver.report.context import read_records
from archiver.report.inventory import InventoryLine
from archiver.report.report import ReportOptions, render
from archiver.sealing import describe, written_here
from archiver.storage import files
from archiver.storage.journal import JOURNAL_NAME

VIEW = "view"
_FILES = b'\n  "files": {\n'
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def from_other_files(bench: Bench, name: str) -> Iterator[Candidate]:
    """What the file must be if it follows from files that are sound."""
    run = bench.run
    if layout.SCHEMAS.matches(name, run.name):
        ours = resource_folder("schemas") / f"v{FORMAT_VERSION}" / Path(name).name
        if ours.is_file():
            yield "this version of archiver has the same schema", of_bytes(ours.read_bytes())
    elif name == layout.HISTORY.path(run.name) and bench.is_sound(JOURNAL_NAME):
        history = build_history(run.journal.read())
        yield f"made anew from {JOURNAL_NAME}", of_bytes(_document(run, layout.HISTORY, history))
    elif name == layout.RESULTS.path(run.name) and bench.is_sound(JOURNAL_NAME):
        yield f"made anew from {JOURNAL_NAME}", of_bytes(_document(run, layout.RESULTS, outcome(run)[1]))
    elif name == layout.METADATA.path(run.name):
        yield from _metadata(bench, name)
    elif name in (layout.README.pattern, layout.README_HTML.pattern):
        yield "the report made anew from the records", of_bytes(_report(bench)[name])


def _document(run: Run, file: RecordFile[Any], record: Record) -> bytes:
    reference = layout.schema_reference(file.path(run.name), record.KIND)
    return document_bytes(record.model_copy(update={"schema_reference": reference}))


def _metadata(bench: Bench, name: str) -> Iterator[Candidate]:
    """Its list of files follows from the files; what stands before is kept."""
    data = bench.path(name).read_bytes() if bench.path(name).is_file() else b""
    head, mark, _ = data.partition(_FILES)
    listed = [path for path in bench.seals.paths() if path != name]
    if not mark or not all(map(bench.is_sound, listed)):
        return
    parts = {
        path: FilePart(
            size_bytes=bench.path(path).stat().st_size,
            md5=bench.digests[path]["md5"],
            description=describe(bench.run, path),
        )
        for path in listed
    }
    record = Metadata(
        name=bench.run.name, archiver_version="", sealed=_NEVER, local_offset_seconds=0, sealing_seconds=0.0,
        status="complete", stop_reason=None, previous_seal_id=None, total_bytes=0, files=parts,
    )  # fmt: skip
    tail = document_bytes(record).partition(_FILES)[2]
    yield "its list of files made anew from the files", of_bytes(head + mark + tail)


def _report(bench: Bench) -> dict[str, bytes]:
    """The report as sealing makes it: before the journal's last line and the manifests are there."""
    written = written_here(bench.run)
    listed = [path for path in bench.seals.paths() if path not in written]
    view = Run(bench.scratch / VIEW / bench.source.path.resolve().name, bench.run.name)
    try:
        for path in filter(bench.is_sound, listed):
            os.makedirs((view.path / path).parent, exist_ok=True)
            os.link(bench.path(path), view.path / path)
        journal = bench.path(JOURNAL_NAME).read_bytes().splitlines(keepends=True)
        files.remove(view.path / JOURNAL_NAME)
        (view.path / JOURNAL_NAME).write_bytes(b"".join(journal[:-1]))
        report = render(view, read_records(view), ReportOptions())
    finally:
        files.remove(bench.scratch / VIEW)
    lines = [InventoryLine(path, *_size_and_md5(bench, path), describe(bench.run, path)) for path in sorted(listed)]
    return {path: text.encode() for path, text in report.filled(lines).items()}


def _size_and_md5(bench: Bench, path: str) -> tuple[int, str]:
    """As the file is, or as the metadata say of one that is damaged."""
    if bench.is_sound(path):
        return bench.path(path).stat().st_size, bench.digests[path]["md5"]
    return bench.seals.recorded[path]

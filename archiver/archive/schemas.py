"""The JSON Schemas of the records: generated from the classes, committed under `schemas/`, copied into each archive."""

from __future__ import annotations

import json
from typing import Any

from archiver import layout
from archiver.records.base import Part
from archiver.records.journal import JournalEvent

JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_CLASSES: dict[str, type[Part]] = {entry.record.KIND: entry.record for entry in layout.RECORD_FILES} | {
    "journal_event": JournalEvent
}

SCHEMA_KINDS = tuple(sorted(_CLASSES))
"""Every kind of record, and `journal_event` for a line of the journal."""


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a kind of record, as it is written."""
    schema = _CLASSES[kind].model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": JSON_SCHEMA_DIALECT, **schema}


def schema_text(kind: str) -> str:
    """The document of the schema."""
    return json.dumps(json_schema(kind), indent=2, ensure_ascii=False) + "\n"

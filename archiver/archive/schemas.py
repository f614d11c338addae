"""The JSON Schemas of the records: generated from the classes, committed under `schemas/`, copied into each archive."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any

from archiver import layout
from archiver._resources import resource_folder
from archiver.records.base import FORMAT_VERSION, Part
from archiver.records.journal import JournalEvent
from archiver.records.training import SnapshotState
from archiver.storage.digests import sha256_of

JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_CLASSES: dict[str, type[Part]] = {entry.record.KIND: entry.record for entry in layout.RECORD_FILES} | {
    SnapshotState.KIND: SnapshotState,
    "journal_event": JournalEvent,
}

SCHEMA_KINDS = tuple(sorted(_CLASSES))
"""Every kind of record, and `journal_event` for a line of the journal."""

RELEASED = "released.json"
"""Beside the folders of schemas: `{kind: {sha256: release}}`, of every schema that a release wrote."""


@cache
def known_schemas(kind: str) -> frozenset[str]:
    """SHA-256 of the schemas of a kind that archives may hold: this version's own, and those of earlier releases."""
    own = (resource_folder("schemas") / f"v{FORMAT_VERSION}" / layout.schema_file(kind)).read_bytes()
    return frozenset({sha256_of(own), *_released().get(kind, {})})


@cache
def _released() -> dict[str, dict[str, str]]:
    released: dict[str, dict[str, str]] = json.loads((resource_folder("schemas") / RELEASED).read_bytes())
    return released


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a kind of record, as it is written."""
    root = _CLASSES[kind]
    schema = root.model_json_schema(by_alias=True, mode="serialization")
    parts = {part.__name__: part for part in _subclasses(Part)}
    for name, definition in [(root.__name__, schema), *schema.get("$defs", {}).items()]:
        if name in parts:
            _describe_fields(definition, parts[name])
    return {"$schema": JSON_SCHEMA_DIALECT, **schema}


def _describe_fields(definition: dict[str, Any], part: type[Part]) -> None:
    """Put the text below each field of a class into the schema.

    pydantic can do so too, but only by parsing the source at every import.
    """
    texts = {name: text for each in reversed(part.__mro__) for name, text in _field_texts(each).items()}
    for field, text in texts.items():
        alias = part.model_fields[field].alias if field in part.model_fields else None
        target = definition.get("properties", {}).get(alias or field)
        if target is not None:
            target.setdefault("description", text)


def _field_texts(part: type) -> dict[str, str]:
    return _module_texts(sys.modules[part.__module__]).get(part.__name__, {}) if issubclass(part, Part) else {}


@cache
def _module_texts(module: ModuleType) -> dict[str, dict[str, str]]:
    classes = (node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.ClassDef))
    return {node.name: dict(_texts_below_fields(node.body)) for node in classes}


def _texts_below_fields(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            yield field.target.id, inspect.cleandoc(below.value.value)


def _subclasses(part: type[Part]) -> Iterator[type[Part]]:
    for each in part.__subclasses__():
        yield each
        yield from _subclasses(each)


def schema_text(kind: str) -> str:
    """The document of the schema."""
    return json.dumps(json_schema(kind), indent=2, ensure_ascii=False) + "\n"

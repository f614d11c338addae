"""The reference of the records, docs/records.md, generated from the schemas: `make records`.

`docs/details.toml` says which fields hold each detail that an archive promises; what a field is, and its description,
comes from the schema. A field is written `kind#/pointer`, with `*` for any key or position.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archiver import layout
from archiver.archive import schemas
from archiver.archive.schemas import SCHEMA_KINDS

FOLDER = Path(__file__).parent.parent / "docs"
REFERENCE = FOLDER / "records.md"

Schema = dict[str, Any]

json_schema = functools.cache(schemas.json_schema)

_INTRODUCTION = """# What stands where

Every detail of a run, and the record and field that holds it. This page is generated from the JSON Schemas and
`docs/details.toml` by `make records`. `*` stands for any key or position. A detail that could not be had is present all
the same, as `{"unavailable": "the reason"}`.
"""


def items() -> list[dict[str, Any]]:
    """The subjects of docs/details.toml, each with its details."""
    return list(tomllib.loads((FOLDER / "details.toml").read_text(encoding="utf-8"))["subject"])


def fields_of(detail: dict[str, Any]) -> list[str]:
    """Where a detail is held, always as a list."""
    return [detail["at"]] if isinstance(detail["at"], str) else list(detail["at"])


def resolve(field: str) -> Schema:
    """The schema of `kind#/pointer`.

    Raises:
        LookupError: there is no such field.
    """
    kind, _, pointer = field.partition("#")
    root = json_schema(kind)
    found = [root]
    for step in [part for part in pointer.split("/") if part]:
        found = [inner for each in found for inner in _step(each, step, root)]
        if not found:
            raise LookupError(f"{field}: there is no {step!r}")
    return found[0]


def _step(schema: Schema, step: str, root: Schema) -> list[Schema]:
    inner = []
    for variant in _variants(schema, root):
        if step in variant.get("properties", {}):
            inner.append(variant["properties"][step])
        elif step == "*":
            inner += [variant[key] for key in ("items", "additionalProperties") if isinstance(variant.get(key), dict)]
            inner += variant.get("prefixItems", [])
    return inner


def _variants(schema: Schema, root: Schema) -> Iterator[Schema]:
    """The schema itself or, behind references and alternatives, those it stands for."""
    if "$ref" in schema:
        yield from _variants(root["$defs"][schema["$ref"].rsplit("/", 1)[-1]], root)
    for each in _choices(schema):
        yield from _variants(each, root)
    if "$ref" not in schema and not _choices(schema):
        yield schema


def _choices(schema: Schema) -> list[Schema]:
    return [*schema.get("anyOf", ()), *schema.get("oneOf", ())]


def values_at(document: Any, pointer: str) -> list[Any]:
    """The values of a document at a pointer with `*`."""
    found = [document]
    for step in [part for part in pointer.split("/") if part]:
        found = [inner for each in found for inner in _inside(each, step)]
    return found


def _inside(value: Any, step: str) -> list[Any]:
    if step == "*":
        return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
    return [value[step]] if isinstance(value, dict) and step in value else []


def kind_of(schema: Schema, root: Schema) -> str:
    """The type of a field in a word or two."""
    names = dict.fromkeys(_type_name(each, root) for each in _alternatives(schema))
    return " or ".join(name for name in names if name != "null" or len(names) == 1)


def _alternatives(schema: Schema) -> list[Schema]:
    return [inner for each in _choices(schema) for inner in _alternatives(each)] or [schema]


def _type_name(schema: Schema, root: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[-1].removesuffix("Part")).lower()
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return "number" if values == ["NaN", "Infinity", "-Infinity"] else "/".join(map(str, values))
    if schema.get("type") == "array":
        inner = schema.get("items") or next(iter(schema.get("prefixItems", ())), {})
        return f"list of {kind_of(inner, root)}" if inner else "list"
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"object of {kind_of(inner, root)}" if isinstance(inner, dict) and inner else "object"
    if schema.get("format") == "date-time":
        return "time"
    return str(schema.get("type", "JSON")).replace("string", "text").replace("integer", "whole number")


def reference() -> str:
    """The text of docs/records.md."""
    parts = [_INTRODUCTION]
    for subject in items():
        parts.append(f"\n## {subject['title']}\n\n| detail | record and field | what it is |\n|---|---|---|\n")
        for detail in subject["details"]:
            for index, field in enumerate(fields_of(detail)):
                name = detail["name"] if index == 0 else ""
                parts.append(f"| {name} | {_link(field)} | {_cell(_about(field))} |\n")
    parts.append("\n## Every record, every field\n")
    for kind in SCHEMA_KINDS:
        parts.append(_record(kind))
    return "".join(parts)


def _link(field: str) -> str:
    kind, _, pointer = field.partition("#")
    return f"[`{kind}`](#{kind.replace('_', '-')}) `{pointer or '/'}`"


def _about(field: str) -> str:
    schema, root = resolve(field), json_schema(field.partition("#")[0])
    texts = [schema.get("description")] + [each.get("description") for each in _variants(schema, root)]
    return next((text for text in texts if text and "Stands where a value" not in text), "")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _record(kind: str) -> str:
    root = json_schema(kind)
    paths = [entry.pattern for entry in layout.RECORD_FILES if kind == entry.record.KIND]
    where = f"`{paths[0].replace('{name}', '<name>')}`" if paths else "a line of `journal.jsonl`"
    lines = [f"\n### {kind.replace('_', '-')}\n\n{where}. {_cell(root.get('description', ''))}\n"]
    for name, definition in [(kind, root), *sorted(root.get("$defs", {}).items())]:
        if name == "Unavailable" or not definition.get("properties"):
            continue
        title = (
            ""
            if definition is root
            else f"\n*{_type_name({'$ref': name}, root)}*: {_cell(definition.get('description', ''))}\n"
        )
        lines.append(f"{title}\n| field | type | what it is |\n|---|---|---|\n")
        for field, schema in definition["properties"].items():
            if field not in ("$schema", "kind", "format_version"):
                lines.append(
                    f"| `{field}` | {_cell(kind_of(schema, root))} | {_cell(schema.get('description', ''))} |\n"
                )
    return "".join(lines)


if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
    print(f"{REFERENCE}: {sum(len(subject['details']) for subject in items())} details")

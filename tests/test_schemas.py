"""The committed schemas are those of the record classes; what archiver writes is valid by another validator."""

import json
from pathlib import Path

import jsonschema
import pytest

from archiver import layout
from archiver.archive.schemas import SCHEMA_KINDS, json_schema, schema_text
from archiver.records.base import FORMAT_VERSION
from archiver.testing import tiny_run

FOLDER = Path(__file__).parent.parent / "schemas" / f"v{FORMAT_VERSION}"


def test_the_committed_schemas_are_the_generated_ones():
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*")}
    assert committed == {layout.schema_file(kind): schema_text(kind) for kind in SCHEMA_KINDS}, "run `make schemas`"


@pytest.mark.parametrize("kind", SCHEMA_KINDS)
def test_each_is_a_valid_schema(kind):
    jsonschema.Draft202012Validator.check_schema(json_schema(kind))


def test_every_record_of_an_archive_is_valid_by_the_schema_it_refers_to(tmp_path):
    run = tiny_run(tmp_path, tested=True)
    checked = 0
    for entry in layout.RECORD_FILES:
        path = run.path_of(entry)
        if path.exists():
            document = json.loads(path.read_bytes(), parse_constant=lambda name: pytest.fail(name))
            schema = json.loads((path.parent / document["$schema"]).resolve().read_bytes())
            jsonschema.validate(document, schema)
            checked += 1
    # No training of tiny_run's repeats another, or is one of several processes.
    assert checked == len(layout.RECORD_FILES) - 2
    schema = json_schema("journal_event")
    for line in run.path_of(layout.JOURNAL).read_text(encoding="utf-8").splitlines():
        jsonschema.validate(json.loads(line), schema)


def test_the_table_has_one_entry_per_path_and_kind():
    patterns = [entry.pattern for entry in layout.all_files()]
    assert len(set(patterns)) == len(patterns)
    kinds = [entry.record.KIND for entry in layout.RECORD_FILES]
    assert len(set(kinds)) == len(kinds)


def test_the_text_below_a_field_is_its_description():
    properties = json_schema("results")["properties"]
    assert properties["training_seconds"]["description"].startswith("Sum over the phases")
    exception = json_schema("results")["$defs"]["ExceptionPart"]["properties"]
    assert "2,000 characters" in exception["message"]["description"]

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import ClassVar, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from archiver.archive.documents import document_bytes, parse_document
from archiver.errors import FormatVersionError, RecordError
from archiver.records.base import Part, Real, Record, UtcTime


class Inner(Part):
    value: Real


class Example(Record):
    KIND: ClassVar[str] = "example"
    kind: Literal["example"] = "example"
    number: Real
    inner: Inner
    columns: dict[str, tuple[Real | None, ...]]
    moment: UtcTime


def example(number: float) -> Example:
    return Example(number=number, inner=Inner(value=number), columns={"a": (number, None)}, moment=datetime.now(UTC))


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


@given(st.floats())
def test_every_float_survives_at_every_depth(number):
    data = document_bytes(example(number))
    record = parse_document(data, Example, "file")
    assert same(record.number, number)
    assert same(record.inner.value, number)
    assert same(record.columns["a"][0], number)
    assert document_bytes(record) == data


@given(st.floats())
def test_the_document_is_json_without_extensions_and_fits_its_schema(number):
    document = json.loads(document_bytes(example(number)), parse_constant=lambda name: pytest.fail(name))
    jsonschema.validate(document, Example.model_json_schema(by_alias=True, mode="serialization"))


@pytest.mark.parametrize("value", ['"1.5"', "true", '"nan"', "null", "[1]", '"inf"'])
def test_numbers_are_not_coerced(value):
    with pytest.raises(ValidationError):
        Inner.model_validate_json(f'{{"value": {value}}}')


def test_times_are_written_in_utc():
    there = timezone(timedelta(hours=2))
    record = example(1.0).model_copy(update={"moment": datetime(2026, 11, 21, 5, 0, tzinfo=there)})
    record = Example.model_validate(record.model_dump())
    assert json.loads(document_bytes(record))["moment"] == "2026-11-21T03:00:00Z"


def test_a_time_without_offset_is_refused():
    with pytest.raises(RecordError, match="with its offset"):
        parse_document(changed(moment="2026-11-21T03:00:00"), Example, "file")


def changed(**fields: object) -> bytes:
    return json.dumps(json.loads(document_bytes(example(1.0))) | fields).encode()


def test_a_fault_is_named_with_its_json_pointer():
    with pytest.raises(RecordError, match=r"file#/columns/a~1b/1: .*number"):
        parse_document(changed(columns={"a/b": [1, "x"]}), Example, "file")


def test_all_faults_are_named_at_once():
    with pytest.raises(RecordError) as caught:
        parse_document(changed(number="x", inner={}), Example, "file")
    assert "file#/number" in str(caught.value)
    assert "file#/inner/value" in str(caught.value)


def test_unknown_fields_are_refused():
    with pytest.raises(RecordError, match="file#/more"):
        parse_document(changed(more=1), Example, "file")


def test_a_newer_format_is_told_apart_from_a_broken_record():
    with pytest.raises(FormatVersionError, match=r"file#/format_version: received 2, expected at most 1.*upgrade"):
        parse_document(changed(format_version=2), Example, "file")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"[" * 100_000])
def test_broken_json_is_an_error_of_ours(data):
    with pytest.raises(RecordError, match="file#"):
        parse_document(data, Example, "file")

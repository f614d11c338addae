"""Records as bytes: how one is written, and how one is read with errors that point into the document."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import ValidationError

from archiver.errors import FormatVersionError, RecordError, UnsafeFileError
from archiver.records.base import FORMAT_VERSION, Record
from archiver.storage.reading import count_values
from archiver.version import __version__

MAXIMAL_DOCUMENT_BYTES = 256 << 20
MAXIMAL_DOCUMENT_VALUES = 8_000_000
"""Commas and brackets, see `count_values`: about a gigabyte of memory at the most."""
MAXIMAL_FAULTS = 1000
"""Of one record: what pydantic says of each takes about a kilobyte."""

R = TypeVar("R", bound=Record)


def document_bytes(record: Record) -> bytes:
    """The document of a record: UTF-8, two spaces of indentation, the fields in their order, one last line feed."""
    return record.model_dump_json(by_alias=True, indent=2).encode() + b"\n"


def parse_document(data: bytes, kind: type[R], file: str) -> R:
    """The record in `data`.

    Raises:
        FormatVersionError: a newer version of archiver wrote it.
        RecordError: anything else that is wrong, each fault with its place as `file#/json/pointer`.
        UnsafeFileError: it holds more than `MAXIMAL_DOCUMENT_VALUES`.
    """
    require_few_values(data, file)
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        _refuse_newer_format(data, file)
        if error.error_count() > MAXIMAL_FAULTS:
            raise RecordError(f"{file}#: has {error.error_count()} faults, too many to list") from None
        raise RecordError("\n".join(_faults(error.errors(include_url=False), file))) from None
    except RecursionError:
        raise RecordError(f"{file}#: is nested too deeply to be a record") from None


def require_few_values(data: bytes, file: str) -> None:
    """Refuse a document that would take too much memory once it is parsed.

    Raises:
        UnsafeFileError: it holds more than `MAXIMAL_DOCUMENT_VALUES`.
    """
    # A document of fewer bytes cannot hold more; nearly all are.
    count = count_values(data) if len(data) > MAXIMAL_DOCUMENT_VALUES else 0
    if count > MAXIMAL_DOCUMENT_VALUES:
        raise UnsafeFileError(f"{file}#: Received about {count} values. Expected at most {MAXIMAL_DOCUMENT_VALUES}.")


def _refuse_newer_format(data: bytes, file: str) -> None:
    try:
        version = json.loads(data).get("format_version")
    except (ValueError, AttributeError, RecursionError):
        return
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise FormatVersionError(
            f"{file}#/format_version: received {version}, expected at most {FORMAT_VERSION}. "
            "A newer version of archiver wrote this archive; install that one (pip install --upgrade keras-archiver)."
        )


def _faults(errors: Iterable[Any], file: str) -> list[str]:
    return [f"{file}#{json_pointer(error['loc'])}: {_message(error)}{_received(error)}" for error in errors]


def _message(error: Any) -> str:
    if error["type"] == "extra_forbidden":  # within a version of the format, releases add fields
        return f"is no field that archiver {__version__} knows; a later release may have added it"
    return str(error["msg"])


def _received(error: Any) -> str:
    value = error.get("input")
    simple = error["type"] != "missing" and (value is None or isinstance(value, bool | int | float | str))
    return f"; received {str(value)[:60]!r}" if simple and error["type"] != "json_invalid" else ""


def json_pointer(location: Iterable[str | int]) -> str:
    """RFC 6901: `/files/a~1b/md5`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)

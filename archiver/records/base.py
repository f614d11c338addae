"""What all records share: strictness, the header, times, and numbers that may be NaN or infinite."""

import math
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    VERSION,
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic_core import core_schema

FORMAT_VERSION = 1

BUILDS_UNDER_LOCK = tuple(map(int, VERSION.split(".")[:2])) >= (2, 14)
"""Whether two threads that are the first to use a class put it together once: then that may wait until it is used."""

NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _read_real(value: Any) -> float:
    if isinstance(value, str) and value in NON_FINITE:
        return NON_FINITE[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        # pydantic makes a finding of a ValueError only
        raise ValueError(f'received {value!r}, expected a number, "NaN", "Infinity" or "-Infinity"')  # noqa: TRY004
    try:
        return float(value)
    except OverflowError:
        raise ValueError("received a whole number of more than 308 digits, expected one that fits float64") from None


def write_real(value: float) -> float | str:
    """The JSON form of a number: JSON has no NaN and no infinities, so these three are strings."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


class _RealForm:
    """What pydantic has to know of `Real`, made once: made anew for each of 200 fields, it shows in start-up."""

    _SCHEMA = core_schema.no_info_before_validator_function(
        _read_real,
        core_schema.float_schema(),
        serialization=core_schema.plain_serializer_function_ser_schema(
            write_real, return_schema=core_schema.any_schema(), when_used="json"
        ),
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return cls._SCHEMA

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: core_schema.CoreSchema, handler: Any) -> dict[str, Any]:
        return {"anyOf": [{"type": "number"}, {"enum": list(NON_FINITE)}]}


Real = Annotated[float, _RealForm]
"""A float64. In JSON a number, or one of the strings "NaN", "Infinity", "-Infinity"."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]

Count = Annotated[int, Field(ge=0)]

Json = Any
"""JSON of the user or of Keras: null, true, numbers, strings, lists, objects; see `archiver.storage.jsonable`."""


def _require_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError(f"received {value.isoformat()}, expected a time with its offset, such as 2026-11-21T03:12:08Z")
    return value.astimezone(UTC)


UtcTime = Annotated[datetime, AfterValidator(_require_utc)]
"""A moment, in JSON ISO 8601 with the suffix Z."""


def utc_now() -> datetime:
    """The present moment, timezone-aware, in UTC."""
    return datetime.now(UTC)


def local_offset_seconds() -> int:
    """Seconds by which local time is ahead of UTC now (negative west of Greenwich)."""
    offset = datetime.now().astimezone().utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


class Part(BaseModel):
    """A piece of a record: unknown fields are refused, values are never coerced, instances never change."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        protected_namespaces=(),
        defer_build=BUILDS_UNDER_LOCK,
    )


class Unavailable(Part):
    """Stands where a value could not be had, and says why."""

    unavailable: str
    """The reason, for a reader."""


class Record(Part):
    """One JSON document of an archive.

    Subclasses set the class variable `KIND`, and repeat it as the field `kind: Literal[...]`.
    """

    KIND: ClassVar[str]

    schema_reference: Annotated[str, Field(alias="$schema")] = ""
    """Path of the JSON Schema, relative to the document."""
    kind: str
    format_version: Literal[1] = 1

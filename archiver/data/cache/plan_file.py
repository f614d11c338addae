"""Reading a plan from a TOML file, or from a Python script that defines `plan`."""

from __future__ import annotations

import contextlib
import csv
import re
import runpy
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archiver.data.cache.building import CacheStorage
from archiver.data.cache.codecs import Codec
from archiver.data.cache.edf import edf_recording
from archiver.data.cache.extraction import Windowing
from archiver.data.cache.plan import CachePlan
from archiver.data.cache.recording import Recording, RecordingSource
from archiver.errors import ArgumentError, DataError
from archiver.storage.files import explained

READERS = (".edf", ".bdf")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WindowsTable(_Table):
    """`[windows]`."""

    length_seconds: float = Field(gt=0)
    stride_seconds: float | None = Field(default=None, gt=0)
    sampling_rate_hz: float = Field(gt=0)
    channels: tuple[str | int, ...] | None = None
    events: dict[str, Any] | None = None
    begin_seconds: float = 0.0
    bad_windows: str = "refuse"


class StorageTable(_Table):
    """`[storage]`."""

    values: str = "exact"
    """`"exact"`: the whole numbers of the files; `"float32"`: the values."""
    codec: Codec = "bitshuffle_lz4"
    scale: float | None = Field(default=None, gt=0)
    """With `values = "float32"`: quantise to 16 bits in steps of this size."""


class RecordingsTable(_Table):
    """`[recordings]`."""

    files: tuple[str, ...]
    """Patterns, from the folder of the plan."""
    groups: str | None = None
    """A regular expression searched in the path; its named groups are the recording's."""
    label: Any = None
    table: str | None = None
    """A CSV or TSV file with a row per subject, or per another kind of group."""
    table_key: str = "subject"
    """The column, and the kind of group, by which a row is found."""
    table_label: str | None = None
    """The column with the label."""


class PlanFile(_Table):
    """The whole file."""

    output: str
    windows: WindowsTable
    storage: StorageTable = StorageTable()
    recordings: RecordingsTable


@dataclass(frozen=True)
class OpenEdf:
    """Opens a file when its turn comes, in any process."""

    path: Path
    name: str
    label: Any
    groups: Mapping[str, str]

    def __call__(self) -> Recording:
        """The recording.

        Raises:
            DamagedFileError: the file cannot be read.
            DataError: it does not fit.
        """
        return edf_recording(self.path, name=self.name, label=self.label, groups=self.groups)


def read_plan(path: Path) -> CachePlan:
    """The plan of a `.toml` file, or the `plan` that a `.py` script defines. The script is run.

    Raises:
        ArgumentError: the file is none of both, or does not say what is expected.
        StorageError: it cannot be read.
    """
    if path.suffix == ".py":
        return _from_script(path)
    if path.suffix != ".toml":
        raise ArgumentError(f"Received {path}. Expected a plan: a .toml file, or a .py script that defines `plan`.")
    with explained("read", path):
        text = path.read_text(encoding="utf-8")
    try:
        found = PlanFile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ArgumentError(f"{path} is no TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(map(str, first["loc"]))
        raise ArgumentError(f"{path}#/{where}: received {first['input']!r:.200}. {first['msg']}.") from error
    try:
        return _plan(found, path)
    except ArgumentError as error:
        if str(error).startswith(str(path)):
            raise
        raise ArgumentError(f"{path}: {error}") from error


def _from_script(path: Path) -> CachePlan:
    with explained("read", path):
        path.open("rb").close()
    plan = runpy.run_path(str(path), run_name="archiver_cache_plan").get("plan")
    if not isinstance(plan, CachePlan):
        raise ArgumentError(f"{path} defines plan as {type(plan).__name__}. Expected an archiver.data.CachePlan.")
    return plan


def _plan(found: PlanFile, path: Path) -> CachePlan:
    windows, storage = found.windows, found.storage
    rate = windows.sampling_rate_hz
    windowing = Windowing(
        length_samples=_samples(windows.length_seconds, rate, "length_seconds", path),
        stride_samples=None
        if windows.stride_seconds is None
        else _samples(windows.stride_seconds, rate, "stride_seconds", path),
        channels=windows.channels,
        sampling_rate_hz=rate,
        events=windows.events,
        begin_seconds=windows.begin_seconds,
        bad_windows=windows.bad_windows,  # type: ignore[arg-type]  # Windowing checks it
    )
    if storage.values not in ("exact", "float32") or (storage.values == "exact" and storage.scale is not None):
        raise ArgumentError(
            f'{path}#/storage: received values={storage.values!r}, scale={storage.scale!r}. Expected values="exact", '
            'or values="float32" with a scale or without.'
        )
    scale = "item" if storage.values == "exact" else storage.scale
    return CachePlan(
        output=str(path.parent / found.output),
        recordings=_recordings(found.recordings, path),
        windowing=windowing,
        storage=CacheStorage(codec=storage.codec, scale=scale),
        description={"plan": path.name},
    )


def _samples(seconds: float, rate: float, name: str, path: Path) -> int:
    count = round(seconds * rate)
    if count < 1 or abs(count - seconds * rate) > 1e-6 * count:
        raise ArgumentError(
            f"{path}#/windows/{name}: received {seconds:g} s at {rate:g} Hz, {seconds * rate:g} samples. Expected a "
            "whole number of samples."
        )
    return count


def _recordings(found: RecordingsTable, path: Path) -> list[RecordingSource]:
    places = sorted({place for pattern in found.files for place in path.parent.glob(pattern) if place.is_file()})
    if not places:
        raise ArgumentError(
            f"{path}#/recordings/files: no file matches {list(found.files)} in {path.parent.absolute()}."
        )
    unknown = [place for place in places if place.suffix.lower() not in READERS]
    if unknown:
        raise ArgumentError(
            f"{path}#/recordings/files: received {unknown[0].name}. Expected {' or '.join(READERS)} files; for others, "
            "write a plan in Python."
        )
    rows = None if found.table is None else _rows(path.parent / found.table, found.table_key, path)
    return [_source(place, found, path, rows) for place in places]


def _source(
    place: Path, found: RecordingsTable, path: Path, rows: Mapping[str, Mapping[str, str]] | None
) -> RecordingSource:
    relative = place.relative_to(path.parent)
    groups = _groups(relative, found.groups, path)
    label = found.label
    if rows is not None and found.table_label is not None:
        key = groups.get(found.table_key, "")
        label = rows.get(key, {}).get(found.table_label)
        if not label:
            raise DataError(
                f"{path}#/recordings/table: received no {found.table_label} of {found.table_key} {key!r}. "
                f"Expected one, for {relative}."
            )
        label = _as_number(label, [row.get(found.table_label, "") for row in rows.values()])
    name = relative.with_suffix("").as_posix()
    groups = {"recording": place.stem, **groups}
    return RecordingSource(name, OpenEdf(place, name, label, groups), groups)


def _as_number(label: str, column: list[str]) -> Any:
    """A label of a column of numbers as a number: whole where all of them are."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            numbers = dict(zip(column, map(kind, column), strict=True))
            return numbers[label]
    return label


def _groups(relative: Path, expression: str | None, path: Path) -> dict[str, str]:
    if expression is None:
        return {}
    try:
        match = re.search(expression, relative.as_posix())
    except re.error as error:
        reason = f"received {expression!r}, no regular expression: {error}"
        raise ArgumentError(f"{path}#/recordings/groups: {reason}.") from error
    if match is None:
        raise ArgumentError(f"{path}#/recordings/groups: received {expression!r}, which is not in {relative}.")
    return {kind: name for kind, name in match.groupdict().items() if name is not None}


def _rows(table: Path, key: str, path: Path) -> dict[str, dict[str, str]]:
    with explained("read", table), table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t" if table.suffix == ".tsv" else ","))
    if not rows or key not in rows[0]:
        raise ArgumentError(f"{path}#/recordings/table_key: received {key!r}. Expected a column of {table.name}.")
    return {row[key]: row for row in rows}

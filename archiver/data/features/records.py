"""What stands beside the features: a file of JSON lines, appended to as batches are done.

Its first line says what the features are; then comes a line per batch with the digest of its rows; the last one says
that all are there. A batch whose rows do not have their digest is not done, whatever became of them: so nothing needs
to wait for the disk after each batch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from archiver.data.lines import whole_lines
from archiver.errors import DamagedFileError, FormatVersionError

FORMAT_VERSION = 1
SUFFIX = ".progress.jsonl"


class Header(BaseModel):
    """The first line."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["features"] = "features"
    format_version: int = FORMAT_VERSION
    shape: tuple[int, ...]
    dtype: str
    columns: tuple[str, ...] | None
    batch_size: int
    function: dict[str, Any]
    source: dict[str, Any]
    source_shape: tuple[int, ...]
    source_dtype: str
    source_first_batch_blake3: str


class BatchDone(BaseModel):
    """The line of a batch."""

    model_config = ConfigDict(extra="forbid")

    batch: int
    blake3: str


class Complete(BaseModel):
    """The last line."""

    model_config = ConfigDict(extra="forbid")

    complete: Literal[True] = True
    blake3: str
    """Of the whole .npy file."""


@dataclass
class Progress:
    """What the lines say."""

    header: Header | None = None
    digests: dict[int, str] = field(default_factory=dict)
    """By number of the batch."""
    complete: Complete | None = None
    whole_bytes: int = 0
    """Up to where the lines are whole; a torn one follows, or nothing."""

    @property
    def batch_count(self) -> int:
        """How many batches there are, done or not."""
        assert self.header is not None
        return -(-self.header.shape[0] // self.header.batch_size)

    def said(self) -> str:
        """How far it is, in words."""
        if self.header is None:
            return "nothing is done yet"
        return f"{len(self.digests)} of {self.batch_count} batches are done"


def progress_path(path: Path) -> Path:
    """Where the lines are that belong to the features at `path`."""
    return path.with_name(path.name + SUFFIX)


def read_progress(path: Path) -> Progress:
    """Read the lines; what was cut short while it was written does not count.

    Raises:
        DamagedFileError: the first line is none of ours.
        FormatVersionError: a newer version wrote it.
        StorageError: it cannot be read.
    """
    found = Progress()
    for line in whole_lines(path):
        if found.header is None:
            found.header = _header(line, path)
        elif not _take(found, line):
            break
        found.whole_bytes += len(line)
    return found


def _header(line: bytes, path: Path) -> Header:
    try:
        values = json.loads(line)
        if isinstance(values, dict) and values.get("kind") == "features" and values["format_version"] > FORMAT_VERSION:
            raise FormatVersionError(
                f"{path} has the format version {values['format_version']}; this archiver reads up to {FORMAT_VERSION}."
                " Install a newer keras-archiver."
            )
        return Header.model_validate(values)
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise DamagedFileError(
            f"{path}: the first line does not say what the features are. Remove it and {path.name.removesuffix(SUFFIX)}"
            " and extract them again."
        ) from error


def _take(found: Progress, line: bytes) -> bool:
    try:
        if b'"complete"' in line:
            found.complete = Complete.model_validate_json(line)
        else:
            done = BatchDone.model_validate_json(line)
            found.digests[done.batch] = done.blake3
    except ValidationError:
        return False
    return True

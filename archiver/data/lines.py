"""Files of JSON lines that are appended to as work is done; a line that was cut short does not count."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from archiver.storage.files import explained, write_all


def whole_lines(path: Path) -> Iterator[bytes]:
    """The lines that end with a line feed, each with it; nothing where there is no such file.

    Raises:
        StorageError: it cannot be read.
    """
    if path.exists():
        with explained("read", path):
            data = path.read_bytes()
        yield from (line for line in data.splitlines(keepends=True) if line.endswith(b"\n"))


def as_line(record: BaseModel) -> bytes:
    """A record as a line."""
    return record.model_dump_json().encode() + b"\n"


def append(descriptor: int, line: BaseModel) -> None:
    """Append a line with one write, so that a kill leaves either all of it or nothing."""
    write_all(descriptor, as_line(line))


def cut(descriptor: int, length: int) -> None:
    """Cut off a torn line, and stand at the end."""
    os.ftruncate(descriptor, length)
    os.lseek(descriptor, 0, os.SEEK_END)

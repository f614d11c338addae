"""Proposals for a damaged zip file (`.keras`, `.npz`): its two descriptions against each other, its CRCs, its members
from elsewhere."""

from __future__ import annotations

import contextlib
import io
import json
import re
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from archiver import layout
from archiver.archive.tensor_tables import RecordedTensor, TensorTable
from archiver.errors import ArchiverError
from archiver.repairing.hdf5_files import Damaged
from archiver.repairing.hdf5_files import proposals as hdf5_proposals
from archiver.repairing.tensors import Pool
from archiver.repairing.workbench import Bench, Candidate
from archiver.storage import files
from archiver.storage.crc import single_byte_changes
from archiver.storage.guards import BLOCK_BYTES
from archiver.storage.npz_tensors import SUFFIX
from archiver.storage.tensors import WEIGHTS_MEMBER
from archiver.storage.zip_mending import (
    STORED,
    Content,
    Member,
    copied,
    crc_of,
    descriptions,
    dos_time,
    write_zip,
)

INNER = "inner"
METADATA, CONFIG = b"metadata.json", b"config.json"
MAXIMAL_CONFIG_BYTES = 64 << 20
_SHARED = re.compile(r', "shared_object_id": \d+')
SEARCHED_SECONDS = 600
MAXIMAL_CHANGES = 64
"""Proposals of a CRC that are tried."""
MAXIMAL_MEMBER_BYTES = 1 << 30
"""Of a member that is searched for a changed byte."""

Contents = dict[bytes, Content]


def proposals(bench: Bench, pool: Pool, name: str) -> Iterator[Candidate]:
    """Everything that such a file could be made from, the likeliest first."""
    path = bench.path(name)
    if not path.is_file():
        return
    table = pool.tables.get(name)
    with path.open("rb") as file:
        readings = [(reading, {each.name: copied(file, each) for each in reading}) for reading in descriptions(file)]
        for members, contents in readings:
            yield "its description of the members made good", _writing(members, contents)
        for members, contents in readings:
            if table is not None and table.form == "npz":
                yield from _with_arrays(pool, table, members, contents)
            yield from _with_one_byte(file, members, contents)
            yield from _with_metadata(bench, members, contents)
            yield from _with_config(bench, members, contents)
        for members, contents in readings:
            if any(member.name == WEIGHTS_MEMBER.encode() for member in members):
                yield from _with_weights(bench, pool, name, members, contents)


def _writing(members: list[Member], contents: Contents) -> Any:
    def write(target: Path) -> None:
        with target.open("wb") as out:
            write_zip(out, members, contents)

    return write


def _with_arrays(pool: Pool, table: TensorTable, members: list[Member], contents: Contents) -> Iterator[Candidate]:
    """The recorded arrays with their headers, from wherever they still are."""
    held = {f"{location}{SUFFIX}".encode(): tensor for location, tensor in table.recorded.items()}
    taken = {name: tensor for name, tensor in held.items() if pool.holder(tensor.sha256) is not None}
    replaced = {name: _array(pool, taken[name]) for name in contents.keys() & taken.keys()}
    if replaced:
        names = {source.name for tensor in taken.values() if (source := pool.holder(tensor.sha256, table.file))}
        yield f"its arrays copied back from {', '.join(sorted(names))}", _writing(members, contents | replaced)


def _array(pool: Pool, tensor: RecordedTensor) -> Content:
    def write(target: BinaryIO) -> None:
        found = pool.content(tensor.sha256)
        data = found[1] if found is not None else b""
        target.write(array_header(tensor, len(data)) + data)

    return write


def array_header(tensor: RecordedTensor, size_bytes: int) -> bytes:
    """What `write_npz` writes in front of an array."""
    try:
        dtype: np.dtype[Any] = np.dtype(tensor.dtype)
    except TypeError:
        count = int(np.prod(tensor.shape, dtype=np.int64)) or 1
        dtype = np.dtype(f"u{size_bytes // count}")
    header = io.BytesIO()
    description = {"descr": dtype.newbyteorder("<").str, "fortran_order": False, "shape": tuple(tensor.shape)}
    np.lib.format.write_array_header_1_0(header, description)
    return header.getvalue()


def _with_one_byte(file: BinaryIO, members: list[Member], contents: Contents) -> Iterator[Candidate]:
    """Where the CRC of a stored member says which byte was changed."""
    for member in members:
        if member.method != STORED or member.stored_bytes > MAXIMAL_MEMBER_BYTES:
            continue
        with contextlib.suppress(ArchiverError):
            changes = single_byte_changes(member.stored_bytes, crc_of(contents[member.name]), member.crc)
            for position, change in _first(changes):
                changed = {member.name: _changed(file, member, position, change)}
                what = f"the CRC of {member.name.decode('utf-8', 'replace')!r} tells the byte that was changed"
                yield what, _writing(members, contents | changed)


def _first(changes: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for _, change in zip(range(MAXIMAL_CHANGES), changes, strict=False):
        yield change


def _changed(file: BinaryIO, member: Member, position: int, change: int) -> Content:
    def write(target: BinaryIO) -> None:
        buffer = io.BytesIO()
        copied(file, member)(buffer)
        data = buffer.getbuffer()
        data[position] ^= change
        target.write(data)

    return write


def _with_metadata(bench: Bench, members: list[Member], contents: Contents) -> Iterator[Candidate]:
    """What Keras says of itself in `.keras`: its version, and when it saved, which is near the time of the weights."""
    named = {member.name: member for member in members}
    metadata, weights, state = named.get(METADATA), named.get(WEIGHTS_MEMBER.encode()), bench.records.checkpoint
    if metadata is None or weights is None or state is None:
        return
    try:
        written = datetime(*dos_time(weights))
    except ValueError:
        return  # that is what was hit
    for seconds in range(-SEARCHED_SECONDS, SEARCHED_SECONDS):
        saved = (written + timedelta(seconds=seconds)).strftime("%Y-%m-%d@%H:%M:%S")
        data = json.dumps({"keras_version": state.keras_version, "date_saved": saved}).encode()
        if zlib.crc32(data) == metadata.crc:
            made = _writing(members, contents | {METADATA: partial(_write, data)})
            yield "its metadata.json made anew, its CRC telling the second", made


def _with_config(bench: Bench, members: list[Member], contents: Contents) -> Iterator[Candidate]:
    """The configuration in `.keras`, from the record that has it but for the numbers of shared objects."""
    file = layout.MODEL_CONFIG
    member = next((each for each in members if each.name == CONFIG), None)
    if member is None or not bench.is_sound(file.path(bench.run.name)) or member.stored_bytes > MAXIMAL_CONFIG_BYTES:
        return
    damaged = io.BytesIO()
    with contextlib.suppress(ArchiverError):
        contents[CONFIG](damaged)
    known = json.dumps(bench.run.read(file).config)
    made = with_shared_numbers(known, damaged.getvalue().decode("latin-1")).encode()
    if zlib.crc32(made) == member.crc:
        yield (
            f"its config.json made anew from {file.path(bench.run.name)}",
            _writing(members, contents | {CONFIG: partial(_write, made)}),
        )


def with_shared_numbers(known: str, damaged: str) -> str:
    """The known text, and where the damaged one has the number of a shared object, that."""
    made: list[str] = []
    position = 0
    for character in known:
        if damaged[position : position + 1] != character and (number := _SHARED.match(damaged, position)):
            made.append(number[0])
            position = number.end()
        made.append(character)
        position += 1
    return "".join(made)


def _write(data: bytes, target: BinaryIO) -> None:
    target.write(data)


def _with_weights(
    bench: Bench, pool: Pool, name: str, members: list[Member], contents: Contents
) -> Iterator[Candidate]:
    """The weights inside `.keras`, had again like a file of their own."""
    inner = bench.scratch / f"{INNER}.h5"
    member = next(each for each in members if each.name == WEIGHTS_MEMBER.encode())
    try:
        with inner.open("wb") as out, contextlib.suppress(ArchiverError):
            contents[member.name](out)
        for how, write in hdf5_proposals(pool, Damaged(name, inner, pool.tables.get(name))):
            yield how, _writing_weights(bench, write, members, contents)
    finally:
        files.remove(inner)


def _writing_weights(bench: Bench, write: Any, members: list[Member], contents: Contents) -> Any:
    def write_all(target: Path) -> None:
        made = bench.scratch / f"{INNER}-made.h5"
        try:
            write(made)
            _writing(members, contents | {WEIGHTS_MEMBER.encode(): from_file(made)})(target)
        finally:
            files.remove(made)

    return write_all


def from_file(path: Path) -> Content:
    """All bytes of a file as a member."""

    def write(target: BinaryIO) -> None:
        with path.open("rb") as file:
            while data := file.read(BLOCK_BYTES):
                target.write(data)

    return write

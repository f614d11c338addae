"""Proposals for a damaged HDF5 file of weights: tensors put back in place, the structure of a twin, written anew."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from archiver.archive.tensor_tables import RecordedTensor, TensorTable
from archiver.errors import ArchiverError, DamagedFileError
from archiver.repairing.keras_writing import Part, parts_of, write_weights
from archiver.repairing.tensors import Pool, Source
from archiver.repairing.workbench import Candidate
from archiver.storage import files
from archiver.storage.guards import length_of
from archiver.storage.hdf5 import Hdf5Tensors
from archiver.storage.tensors import WEIGHTS_MEMBER
from archiver.storage.zips import SafeZip


@dataclass(frozen=True)
class Damaged:
    """An HDF5 file that is to be had again, alone or out of a `.keras`."""

    name: str
    """Of the file of the archive."""
    path: Path | None
    """Its bytes; None where there are none."""
    table: TensorTable | None
    """What the records say of its tensors."""

    @property
    def expected(self) -> dict[str, RecordedTensor]:
        """Its tensors by location, those that are only derived too."""
        return self.table.derived | self.table.recorded if self.table is not None else {}


def proposals(pool: Pool, damaged: Damaged) -> Iterator[Candidate]:
    """Everything that such a file could be made from, the likeliest first."""
    yield from in_place(pool, damaged)
    if damaged.table is None or damaged.table.form != "h5":
        yield from _anew(pool, damaged)
        yield from _around(pool, damaged)


# -- tensors put back


def in_place(pool: Pool, damaged: Damaged) -> Iterator[Candidate]:
    """The tensors that are not the recorded ones, copied from another file to where they lie."""
    if damaged.path is None:
        return
    try:
        with damaged.path.open("rb") as file:
            tensors = Hdf5Tensors(file, damaged.name)
            found = {location: _digest(tensors, location) for location in tensors.entries}
            places = {location: place for location in found if (place := tensors.place(location)) is not None}
    except ArchiverError:
        return
    recorded = damaged.table.recorded if damaged.table is not None else {}
    for expected in (recorded, damaged.expected):
        wrong = {
            location: tensor.sha256
            for location, tensor in expected.items()
            if location in places and found[location] != tensor.sha256
        }
        patches = _from_pool(pool, damaged, wrong)
        if patches:
            yield _words(patches), _Patcher(pool, damaged.path, patches, places)
    for twin in pool.alike(damaged.name):
        digests = {location: digest for location, digest in twin.digests.items() if location in places}
        wrong = {location: digest for location, digest in digests.items() if found[location] != digest}
        patches = _from_pool(pool, damaged, wrong)
        if patches:
            yield _words(patches), _Patcher(pool, damaged.path, patches, places)


def _digest(tensors: Hdf5Tensors, location: str) -> str | None:
    try:
        return tensors.digest(location)
    except ArchiverError:
        return None


Patches = dict[str, tuple[str, str]]
"""By location: the file that holds the tensor, and its digest."""


def _from_pool(pool: Pool, damaged: Damaged, wanted: Mapping[str, str]) -> Patches:
    found: Patches = {}
    for location, digest in wanted.items():
        source = pool.holder(digest, damaged.name) or pool.holder(digest)
        if source is not None:
            found[location] = (source.name, digest)
    return found


def _words(patches: Patches) -> str:
    names = sorted({name for name, _ in patches.values()})
    first = ", ".join(sorted(patches)[:3]) + (", ..." if len(patches) > 3 else "")  # noqa: PLR2004 - as many as are shown
    count = "1 tensor" if len(patches) == 1 else f"{len(patches)} tensors"
    return f"{count} ({first}) copied back from {', '.join(names)}"


def _patching_pool(pool: Pool, patches: Patches) -> Iterator[tuple[str, bytes]]:
    for location, (_, digest) in patches.items():
        found = pool.content(digest)
        if found is not None:
            yield location, found[1]


class _Patcher:
    """Writes a copy of a file with tensors put back."""

    def __init__(self, pool: Pool, path: Path, patches: Patches, places: Mapping[str, int]) -> None:
        self._pool, self._path, self._patches, self._places = pool, path, patches, places

    def __call__(self, target: Path) -> None:
        files.copy_file(self._path, target)
        with target.open("r+b") as file:
            for location, data in _patching_pool(self._pool, self._patches):
                file.seek(self._places[location])
                file.write(data)


# -- written anew


def _anew(pool: Pool, damaged: Damaged) -> Iterator[Candidate]:
    """The same objects in the same order through HDF5's library, the structure taken from a file that is alike."""
    for twin in pool.alike(damaged.name):
        for in_memory in (damaged.name.endswith(".keras"), not damaged.name.endswith(".keras")):
            yield f"written anew as {twin.name} has it", _Writer(pool, damaged, twin, in_memory=in_memory)


class _Writer:
    """Writes a file from the structure of another."""

    def __init__(self, pool: Pool, damaged: Damaged, twin: Source, *, in_memory: bool) -> None:
        self._pool, self._damaged, self._twin, self._in_memory = pool, damaged, twin, in_memory

    def __call__(self, target: Path) -> None:
        with self._twin.opened() as tensors:

            def content(part: Part) -> bytes:
                expected = self._damaged.expected.get(part.path)
                found = self._pool.content(expected.sha256, self._damaged.name) if expected is not None else None
                return found[1] if found is not None else tensors.content(part.path)

            write_weights(target, parts_of_source(self._twin), content, in_memory=self._in_memory)


def parts_of_source(source: Source) -> list[Part]:
    """The groups and tensors of a file, as they were made."""
    with source.path.open("rb") as file, contextlib.ExitStack() as stack:
        inner: BinaryIO = file
        if source.form == "keras":
            archive = SafeZip(file, source.name)
            stack.callback(archive.close)
            window = archive.window(WEIGHTS_MEMBER)
            if window is None:
                raise DamagedFileError(f"{source.name}: {WEIGHTS_MEMBER} is compressed")
            inner = window
        return parts_of(inner, source.name)


# -- the structure of a twin around the tensors that are left


def _around(pool: Pool, damaged: Damaged) -> Iterator[Candidate]:
    """What is not a tensor from a file of the same structure, the tensors from the damaged one, as far as no record
    tells better."""
    if damaged.path is None:
        return
    for twin in pool.alike(damaged.name):
        if twin.form == "weights.h5":
            yield f"what is around its tensors copied from {twin.name}", _Overlay(pool, damaged, twin, None)
        else:
            anew = _Writer(pool, Damaged(damaged.name, None, None), twin, in_memory=False)
            yield f"what is around its tensors made as {twin.name} has it", _Overlay(pool, damaged, twin, anew)


class _Overlay:
    """Writes the structure of one file around the tensors of another."""

    def __init__(self, pool: Pool, damaged: Damaged, twin: Source, anew: _Writer | None) -> None:
        self._pool, self._damaged, self._twin, self._anew = pool, damaged, twin, anew

    def __call__(self, target: Path) -> None:
        assert self._damaged.path is not None
        if self._anew is None:
            files.copy_file(self._twin.path, target)
        else:
            self._anew(target)
        with target.open("rb") as made:
            tensors = Hdf5Tensors(made, self._twin.name)
            places = {location: tensors.place(location) for location in tensors.entries}
            sizes = {location: entry.size_bytes for location, entry in tensors.entries.items()}
        with target.open("r+b") as file, self._damaged.path.open("rb") as old:
            length = length_of(old)
            for location, place in places.items():
                if place is not None and place + sizes[location] <= length:
                    file.seek(place)
                    file.write(self._data(old, location, place, sizes[location]))

    def _data(self, old: BinaryIO, location: str, place: int, size: int) -> bytes:
        expected = self._damaged.expected.get(location)
        found = self._pool.content(expected.sha256) if expected is not None else None
        if found is not None:
            return found[1]
        old.seek(place)
        return old.read(size)

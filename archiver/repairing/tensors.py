"""All tensors that can be read in the model files, sound or damaged, by digest: whoever lacks one can take it here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from archiver import layout
from archiver.archive.tensor_tables import TensorTable, tensor_tables
from archiver.errors import ArchiverError
from archiver.repairing.workbench import Bench
from archiver.storage.tensors import Tensors, open_tensors

Content = Mapping[str, bytes]
"""Bytes of tensors by location."""


@dataclass
class Source:
    """One model file of the copy."""

    name: str
    path: Path
    form: str
    is_sound: bool
    digests: dict[str, str]
    """Of the tensors that can be read, by location."""

    @contextlib.contextmanager
    def opened(self) -> Iterator[Tensors]:
        """Its tensors."""
        with open_tensors(self.path, self.form, where=self.name) as tensors:
            yield tensors


@dataclass
class Pool:
    """The model files of the copy, as far as they can be read now; sound ones first."""

    bench: Bench
    tables: dict[str, TensorTable]
    sources: list[Source] = field(default_factory=list)

    @classmethod
    def of(cls, bench: Bench) -> Pool:
        """That of a copy."""
        tables = tensor_tables(bench.run, bench.records)
        found = [_source(bench, name, form) for name, form in model_files(bench).items() if name in bench.digests]
        sources = sorted((source for source in found if source), key=lambda source: not source.is_sound)
        return cls(bench, tables, sources)

    def holder(self, digest: str, besides: str = "") -> Source | None:
        """A file that holds a tensor with this digest."""
        return next(
            (each for each in self.sources if each.name != besides and digest in each.digests.values()), None
        )  # fmt: skip

    def content(self, digest: str, besides: str = "") -> tuple[str, bytes] | None:
        """The name of a file that holds the tensor, and its bytes."""
        source = self.holder(digest, besides) or self.holder(digest)
        if source is None:
            return None
        location = next(each for each, found in source.digests.items() if found == digest)
        with source.opened() as tensors:
            return source.name, tensors.content(location)

    def alike(self, besides: str) -> list[Source]:
        """The other files of Keras' newer format, inside `.keras` and outside."""
        return [each for each in self.sources if each.form in ("keras", "weights.h5") and each.name != besides]


def model_files(bench: Bench) -> dict[str, str]:
    """The files of tensors that a run may have, with their forms."""
    name = bench.run.name
    return {file.path(name): form for form, file in layout.MODEL_FORMATS.items()} | {
        layout.BEST_WEIGHTS.path(name): "weights.h5",
        layout.CHECKPOINT_VARIABLES.path(name): "npz",
    }


def _source(bench: Bench, name: str, form: str) -> Source | None:
    key = (name, bench.digests[name]["sha256"])
    if key not in bench.memory:
        bench.memory[key] = _looked_at(bench, name, form)
    known: Source | None = bench.memory[key]
    return known


def _looked_at(bench: Bench, name: str, form: str) -> Source | None:
    digests: dict[str, str] = {}
    try:
        with open_tensors(bench.path(name), form, where=name) as tensors:
            for location in tensors.entries:
                with contextlib.suppress(ArchiverError):
                    digests[location] = tensors.digest(location)
    except ArchiverError:
        return None
    return Source(name, bench.path(name), form, bench.is_sound(name), digests)

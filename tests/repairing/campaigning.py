"""Damaging archives, and what must hold of whatever repair makes of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from archiver import layout
from archiver.archive.run import Run
from archiver.archive.verifying import verify
from archiver.repairing import RepairReport, repair
from archiver.storage.tensors import open_tensors

Fault = Callable[[Path, random.Random], None]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file by path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def repaired(run: Run, target: Path | None = None) -> tuple[RepairReport, Path]:
    """The report, and the new folder; the damaged one must not have changed."""
    target = target or run.path.parent / "new"
    before = contents(run.path)
    report = repair(run.path, target)
    assert contents(run.path) == before
    assert target.is_dir() == (report.output is not None)
    assert not [path for path in target.parent.iterdir() if path.name.startswith(".tmp-")]
    if report.output is not None:
        found = verify(target, algorithm="all", deep=True)
        assert found.is_whole == report.is_whole or {each.code for each in found.findings} <= {"tensor"}
    return report, target


def is_as_it_was(original: Run, target: Path) -> bool:
    """Whether every byte is that of the original."""
    return contents(original.path) == contents(target)


def tensors_of(run: Run) -> dict[tuple[str, str], str]:
    """Digests of all tensors by file and location."""
    found: dict[tuple[str, str], str] = {}
    forms = {"keras": layout.KERAS_MODEL, "h5": layout.H5_MODEL, "weights.h5": layout.WEIGHTS_H5,
             "npz": layout.CHECKPOINT_VARIABLES}  # fmt: skip
    for form, file in forms.items():
        if run.has(file):
            with open_tensors(run.path_of(file), form) as tensors:
                found |= {(form, location): tensors.digest(location) for location in tensors.entries}
    return found


def flip(path: Path, bit: int) -> None:
    """One bit."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def overwrite(path: Path, start: int, noise: bytes) -> None:
    """A stretch becomes noise."""
    data = bytearray(path.read_bytes())
    data[start : start + len(noise)] = noise
    path.write_bytes(data)

"""The program that a run belongs to: that of this process, or of the one that started it as its helper."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from archiver.collect.command import collect_command
from archiver.collect.notebook import TypedCells
from archiver.collect.source_files import Snapshot, local_modules, take_snapshot
from archiver.records.base import Unavailable
from archiver.records.source import CommandPart


@dataclass(frozen=True)
class Program:
    """What was started, in a form that can be handed to another process."""

    command: CommandPart | Unavailable
    entry: Path | Unavailable
    entry_module: str | None
    """Its name, where it was started by that."""
    folder: Path
    modules: tuple[tuple[str, str], ...]
    """Name and file of each local module."""
    cells: TypedCells | None

    def snapshot(self) -> Snapshot:
        """As that process would take it."""
        main = ModuleType("__main__")
        main.__spec__ = ModuleSpec(self.entry_module, None) if self.entry_module else None
        stand_ins = [("__main__", main)]
        for name, file in self.modules:
            module = ModuleType(name)
            module.__file__ = file
            stand_ins.append((name, module))
        return Snapshot(self.entry, self.folder, tuple(stand_ins), self.cells)


_asking: Program | None = None


def works_for(program: Program) -> None:
    """From now on, runs of this process are recorded as those of `program`: to run them again is to run that."""
    global _asking  # noqa: PLW0603 - a process works for one program all its life
    _asking = program


def running_program() -> Program:
    """The program of this process, or the one it works for."""
    if _asking is not None:
        return _asking
    now = take_snapshot()
    known = dict(now.modules)
    spec = getattr(known.get("__main__"), "__spec__", None)
    modules = tuple((each.module, str(each.path)) for each in local_modules(known) if each.module)
    return Program(collect_command(), now.entry, spec.name if spec else None, now.folder, modules, now.cells)


def program_command() -> CommandPart | Unavailable:
    """Its command."""
    return collect_command() if _asking is None else _asking.command


def program_snapshot() -> Snapshot:
    """What of it is running now."""
    return take_snapshot() if _asking is None else _asking.snapshot()

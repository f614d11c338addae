"""Finding the run that a call of `fit` goes on with, and what is left of it to do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from archiver import layout
from archiver.archive.phases import CUT_OFF, Phase, gather_phases
from archiver.archive.run import Run
from archiver.archive.snapshots import RESUME_VARIABLE, newest_snapshot
from archiver.archive.status import still_running
from archiver.errors import ArchiverError, RunStateError
from archiver.naming import RunName, folder_name
from archiver.records.training import SnapshotState
from archiver.storage.locks import try_lock
from archiver.training.restoring import SavedState
from archiver.training.same_training import differences

Resume = bool | Literal["force"]


@dataclass(frozen=True)
class Plan:
    """What becomes of one call of `fit`."""

    kind: Literal["skip", "go_on", "begin_again"]
    """Its phase is complete; it goes on from a snapshot; there is none, and it begins again."""
    phase: int
    saved: SavedState | None
    """What is restored: the end of the phase, or a snapshot."""
    differences: tuple[str, ...] = ()
    """Between the training then and now, with `resume="force"`."""
    passed_over: tuple[str, ...] = ()
    """Snapshots that are not whole."""
    data_reason: str | None = None
    """Why the data are not where they were."""

    @property
    def epoch(self) -> int:
        """The epoch that training goes on in."""
        state = self.saved.state if self.saved is not None else None
        return state.epoch if isinstance(state, SnapshotState) else 0

    @property
    def data_state(self) -> Any:
        """What the data kept there, decoded; None: it is not known."""
        return None if self.saved is None else self.saved.decoded(self.saved.state.data_state)

    @property
    def details(self) -> dict[str, Any]:
        """What the journal says of it."""
        state = self.saved.state if self.saved is not None else None
        about_data = [] if self.data_reason is None else [self.data_reason]
        known = {"differences": list(self.differences), "snapshots_passed_over": list(self.passed_over)}
        if not isinstance(state, SnapshotState):
            exactness = {"exact": not about_data, "inexact_reasons": about_data}
            return {"epoch": 0, "step": None, "snapshot": None, **exactness, **known}
        reasons = [*state.inexact_reasons, *about_data, *(f'resume="force": {each}' for each in self.differences)]
        return {
            "epoch": state.epoch,
            "step": state.step,
            "snapshot": state.number,
            "snapshot_created": state.created.isoformat(),
            "exact": not reasons,
            "inexact_reasons": reasons,
            **known,
        }


@dataclass
class Adopted:
    """A run that an earlier process began."""

    run: Run
    version: int
    part: int
    """The number of this process among those of the run."""
    phases: list[Phase] = field(default_factory=list)
    lock: int | None = None
    """Of the folder, as long as this process works on it."""

    def plan(self, number: int, identity: dict[str, Any], *, force: bool) -> Plan | None:
        """What becomes of the call of `fit` of this number, from 0; None: the run has not come so far.

        Raises:
            RunStateError: the run was not cut off in this training, or cannot be gone on with.
        """
        if number >= len(self.phases):
            return None
        phase, is_last = self.phases[number], number == len(self.phases) - 1
        found = tuple(_differences(phase, identity))
        if found and not force:
            raise RunStateError(
                f"{self.run.path} was made by another training: {'; '.join(found[:5])}"
                f"{' ...' if len(found) > 5 else ''}. "  # noqa: PLR2004
                'Give the new one another name or resume=False, or go on all the same with resume="force".'
            )
        if is_finished(phase):
            end = self._end_of(number)
            if end is None and is_last:
                raise RunStateError(
                    f"{self.run.path} is complete, but has no checkpoint of its end that could be read, so that fit "
                    "cannot give its weights back. Load its model from models/, or train under another name."
                )
            return Plan("skip", number, end, found)
        if not is_last:
            raise RunStateError(
                f"{self.run.path}: phase {number} has no end, and phase {number + 1} came after it in its process; "
                "such a run cannot be gone on with. Train again under another name or with resume=False."
            )
        snapshot = newest_snapshot(self.run)
        if snapshot is None or snapshot.state.phase != number:
            return Plan("begin_again", number, None, found)
        return Plan("go_on", number, SavedState(snapshot.state, snapshot.variables), found, snapshot.passed_over)

    def _end_of(self, number: int) -> SavedState | None:
        try:
            state = self.run.read_if_there(layout.CHECKPOINT_STATE)
        except ArchiverError:
            return None
        variables = self.run.path_of(layout.CHECKPOINT_VARIABLES)
        if state is None or state.phase != number or not variables.exists():
            return None
        return SavedState(state, variables)

    def epochs_done(self, phase: int, epoch: int) -> int:
        """Epochs, over all phases, before this epoch of this phase."""
        before = sum(len(each.epochs) for each in self.phases[:phase])
        if phase >= len(self.phases):
            return before
        return before + sum(1 for each in self.phases[phase].epochs if each.details.get("epoch", 0) < epoch)

    def hold(self) -> None:
        """Keep other processes from going on with the run, as long as this one lives.

        Raises:
            RunStateError: one does already.
        """
        if self.lock is not None:
            return
        descriptor = os.open(self.run.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if not try_lock(descriptor):
            os.close(descriptor)
            raise RunStateError(f"{self.run.path}: another process is going on with this run.")
        self.lock = descriptor

    def let_go(self) -> None:
        """Other processes may go on with it."""
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None


def is_wanted(root: Path, name: RunName, resume: Resume) -> bool:
    """Whether a run that was cut off is gone on with: by `resume=`, or since `archiver resume` started this process for
    a run of this name in this folder."""
    if resume:
        return True
    asked_for = Path(os.environ.get(RESUME_VARIABLE, ""))
    stem = asked_for.name.removesuffix(folder_name(""))
    return asked_for.parent == root.resolve() and bool(re.fullmatch(rf"{re.escape(name.name)}(-\d+)?", stem))


def is_finished(phase: Phase) -> bool:
    """Whether a call of `fit` came to an end from which nothing is to be gone on with."""
    return phase.status.get("status") == "complete" and phase.status.get("stop_reason") not in CUT_OFF


def adopt(root: Path, name: RunName, identity: dict[str, Any], used: set[str], *, force: bool) -> Adopted | None:
    """The run of this name that a training goes on with; None: there is none, and it begins a new one.

    Unfinished runs go before complete ones, newer before older; one of another training is passed over.

    Raises:
        RunStateError: there is an unfinished run of this name, of another training; or its process is alive.
    """
    found = [each for each in _versions(root, name) if each.run.name not in used]
    unfinished = [each for each in found if not all(map(is_finished, each.phases))]
    for each in [*unfinished, *(each for each in found if each not in unfinished)]:
        if not each.phases or not any(_differences(each.phases[0], identity)):
            return _checked(each)
    if unfinished and force:
        return _checked(unfinished[0])
    if unfinished:
        unfinished[0].plan(0, identity, force=False)
    return None


def _checked(adopted: Adopted) -> Adopted:
    status = adopted.run.status
    if status.status == "running":
        raise still_running(adopted.run.path, status)
    adopted.hold()
    return adopted


def _versions(root: Path, name: RunName) -> Iterator[Adopted]:
    version, found = 1, []
    while (root / folder_name(name.version(version))).is_dir():
        try:
            run = Run.open(root / folder_name(name.version(version)))
            contents = run.journal.read()
            part = max((event.part for event in contents.events), default=-1) + 1
            found.append(Adopted(run, version, part, gather_phases(contents)))
        except ArchiverError:
            pass
        version += 1
    yield from reversed(found)


def _differences(phase: Phase, identity: dict[str, Any]) -> Iterator[str]:
    then = phase.began.details.get("training") if phase.began is not None else None
    return differences(then, identity) if isinstance(then, dict) else iter(())

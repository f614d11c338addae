"""Weights before and after each call of `fit`: their digests, and how far every layer moved.

The weights before the first step are copied out of the model when training begins. A thread takes the digest of the
copy, writes it to a temporary file in the archive and lets go of the memory; when the training has ended, they are
read back one variable at a time, and the file is removed. A process that is killed leaves the file; whatever seals
the archive removes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import mmap
import os
import shutil
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archiver.archive.run import Run
from archiver.collect.numbers import Array, is_floating, raw_bytes
from archiver.collect.values import Squares, change_squares
from archiver.records.base import Unavailable
from archiver.records.model import ChangePart, LayerChange, PhaseWeights
from archiver.storage import files
from archiver.training import weights
from archiver.training.architecture import weights_bytes
from archiver.training.background import Task, start
from archiver.training.names import Names, names_of

MAXIMAL_KEPT_BYTES = 1 << 30
"""Of more weights than that, only the digest before training is had."""
MINIMAL_FREE_SHARE = 10
"""The file system must have so many times the size of the weights free: the models that are saved at the end come
first."""
MAXIMAL_LAYER_ENTRIES = 20_000
"""Of all phases together; beyond, the oldest phases keep their totals only."""
_WRITTEN_BYTES = 1 << 20


@dataclass(frozen=True)
class _Place:
    """Where one variable lies in the copy."""

    variable: weakref.ref[Any]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    size_bytes: int


class InitialWeights:
    """The weights as they were when training began, in a file."""

    def __init__(self, model: Any, path: Path, total_bytes: int) -> None:
        self._path = path
        self._places: list[_Place] = []
        self._is_cancelled = threading.Event()
        with files.explained("write", path):
            os.makedirs(path.parent, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            memory = mmap.mmap(-1, max(1, total_bytes))  # goes back to the system as a whole, as a heap does not
            self._copy(model, memory)
            self._task = Task(lambda: self._write(memory))
            start(self._task)
        except BaseException:
            self._remove()
            raise

    def _copy(self, model: Any, memory: mmap.mmap) -> None:
        offset = 0
        for variable in model.weights:
            array = weights.to_array(variable)
            memory[offset : offset + array.nbytes] = raw_bytes(array)
            self._places.append(_Place(weakref.ref(variable), array.dtype, array.shape, offset, array.nbytes))
            offset += array.nbytes

    def _write(self, memory: mmap.mmap) -> str:
        digest = hashlib.sha256()
        try:
            with memoryview(memory) as view:
                for index, place in enumerate(self._places):
                    digest.update(weights.digest_header(index, place.dtype.name, place.shape))
                    self._write_one(view[place.offset : place.offset + place.size_bytes], digest)
        finally:
            memory.close()
        return digest.hexdigest()

    def _write_one(self, data: Any, digest: Any) -> None:
        with data, files.explained("write", self._path):
            for start in range(0, len(data), _WRITTEN_BYTES):
                with data[start : start + _WRITTEN_BYTES] as block:
                    digest.update(block)
                    if not self._is_cancelled.is_set():
                        files.write_all(self._descriptor, block)

    def digest(self) -> str:
        """The weights digest; waits until the file is written, and raises what kept it from that."""
        digest: str = self._task.result()
        return digest

    def arrays(self, variables: list[Any]) -> Iterator[tuple[Any, Array]]:
        """Each of these variables that was there, with its value then."""
        places = {id(place.variable()): place for place in self._places}
        for variable in variables:
            place = places.get(id(variable))
            if place is not None and place.shape == tuple(variable.shape):
                with files.explained("read", self._path):
                    data = os.pread(self._descriptor, place.size_bytes, place.offset)
                yield variable, np.frombuffer(bytearray(data), place.dtype).reshape(place.shape)

    def cancel(self) -> None:
        """Only the digest is wanted any more."""
        self._is_cancelled.set()

    def close(self) -> None:
        """Remove the file, as soon as nobody writes to it any more.

        Raises:
            StorageError: the file system refused.
        """
        self.cancel()
        self._task.is_done(None)
        self._remove()

    def _remove(self) -> None:
        os.close(self._descriptor)
        files.remove(self._path)


class WeightChanges:
    """Follows the weights through all phases of a run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._phases: dict[int, PhaseWeights] = {}
        self._kept: InitialWeights | None = None
        self._phase = -1

    def take_over(self, phases: Iterable[PhaseWeights]) -> None:
        """An earlier process followed these phases."""
        self._phases = {part.phase: part for part in phases}

    def begin_phase(self, model: Any, phase: int) -> None:
        """Keep the weights, or find out why they cannot be kept.

        Raises:
            StorageError: the file system refused.
        """
        self.close()
        self._phase = phase
        self._note(Unavailable(unavailable="they could not be read"), "the initial weights are not known")
        if not model.built:
            not_built = "the model was not built when training began"
            self._note(Unavailable(unavailable=not_built), not_built)
            return
        total_bytes = weights_bytes(model)
        reason = self._why_not(total_bytes)
        if reason:
            self._note(weights.weights_digest(model.weights), reason)
        else:
            path = files.temporary_name(self._run.path / "models" / "initial_weights")
            self._kept = InitialWeights(model, path, total_bytes)

    def _why_not(self, total_bytes: int) -> str | None:
        if total_bytes > MAXIMAL_KEPT_BYTES:
            return f"the weights take {total_bytes:,} bytes; up to {MAXIMAL_KEPT_BYTES:,} are kept to compare with"
        with files.explained("look at the free space of", self._run.path):
            free = shutil.disk_usage(self._run.path).free
        if free < MINIMAL_FREE_SHARE * total_bytes:
            return f"there were {free:,} bytes free for a copy of the initial weights, {total_bytes:,} bytes large"
        return None

    def _note(self, digest: str | Unavailable, reason: str) -> None:
        nothing = Unavailable(unavailable=reason)
        self._phases[self._phase] = PhaseWeights(
            phase=self._phase,
            initial_weights_digest=digest,
            final_weights_digest=Unavailable(unavailable="the phase did not come to its end, or saved no models"),
            change=nothing,
            layers=nothing,
        )

    def initial_digest(self) -> Callable[[], str | None]:
        """What gives the digest of the weights this phase began with, None where it is not known; it may wait."""
        kept, part = self._kept, self._phases.get(self._phase)
        known = part.initial_weights_digest if part is not None else None

        def wait() -> str | None:
            if kept is None:
                return known if isinstance(known, str) else None
            try:
                return kept.digest()
            except Exception:  # noqa: BLE001 - `end_phase` reports it
                return None

        return wait

    def end_phase(self, model: Any) -> None:
        """Compare with what the model has become, and let go of the file.

        Raises:
            StorageError: the file could not be written or read.
        """
        kept = self._kept
        if kept is None:
            self._go_on()
            return
        self._note(Unavailable(unavailable="they could not be written"), "the initial weights are not known")
        try:
            digest = kept.digest()
            self._note(digest, "the change could not be computed")
            change, layers = _changes(model, kept, names_of(model))
            self._update(change=change, layers=layers)
        finally:
            self.close()

    def _go_on(self) -> None:
        """A loop of the user's own has trained on after the phase was saved; the change known is that until then."""
        part = self._phases.get(self._phase)
        if part is not None and isinstance(part.change, ChangePart):
            gone = Unavailable(unavailable="the training went on after the initial weights were let go")
            self._update(change=gone, layers=gone)

    def _update(self, **fields: Any) -> None:
        self._phases[self._phase] = self._phases[self._phase].model_copy(update=fields)

    def close(self) -> None:
        """Remove the file of a phase that did not come to its end; what is known of it stays.

        Raises:
            StorageError: the file system refused.
        """
        kept, self._kept = self._kept, None
        if kept is None:
            return
        kept.cancel()
        if isinstance(self._phases[self._phase].initial_weights_digest, Unavailable):
            with contextlib.suppress(Exception):  # reported by `end_phase`, or of no use any more
                self._note(kept.digest(), "the phase did not come to its end")
        kept.close()

    def finished(self, final_digest: str) -> tuple[PhaseWeights, ...]:
        """All phases so far; the last call of `fit` has just left weights of this digest."""
        if self._phase in self._phases:
            self._update(final_weights_digest=final_digest)
        return self.phases

    @property
    def phases(self) -> tuple[PhaseWeights, ...]:
        """All phases so far, within the bound on the number of layers."""
        room, bounded = MAXIMAL_LAYER_ENTRIES, []
        for part in sorted(self._phases.values(), key=lambda each: each.phase, reverse=True):
            count = 0 if isinstance(part.layers, Unavailable) else len(part.layers)
            room -= count
            left_out = Unavailable(unavailable=f"left out to bound the record: {count} layers")
            bounded.append(part if room >= 0 or not count else part.model_copy(update={"layers": left_out}))
        return tuple(reversed(bounded))


def _changes(model: Any, kept: InitialWeights, names: Names) -> tuple[ChangePart, tuple[LayerChange, ...]]:
    owners = weights.owning_layers(model)
    total = Squares()
    by_layer: dict[int, tuple[str, str, Squares]] = {}
    for index, (variable, initial) in enumerate(kept.arrays(model.weights)):
        final = weights.to_array(variable)
        if not is_floating(final.dtype):
            continue
        squares = change_squares(initial, final)
        total += squares
        owner = owners.get(id(variable), model)
        path = weights.path_of(variable, index).rpartition("/")[0]
        _, _, of_layer = by_layer.setdefault(id(owner), (str(owner.name), path, Squares()))
        of_layer += squares
    layers = tuple(
        LayerChange(layer=names.clean(layer), path=names.clean(path), **_norms(squares))
        for layer, path, squares in by_layer.values()
    )
    return ChangePart(**_norms(total)), layers


def _norms(squares: Squares) -> dict[str, Any]:
    initial, final, change = (math.sqrt(each) for each in (squares.initial, squares.final, squares.change))
    was_zero = Unavailable(unavailable="the initial weights are all zero")
    return {
        "initial_norm": initial,
        "final_norm": final,
        "change_norm": change,
        "relative_change": change / initial if initial else was_zero,
    }

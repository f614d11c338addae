"""Batches as they pass: what a PyDataset or a generator hands to the model, looked at on its way.

Keras' adapter of such data has a method that makes the generator of one pass. For the time of one `fit` it is wrapped
on the adapter, which Keras made for this `fit`: each batch is looked at and handed on as it is. Worker processes and
threads are behind that generator, so that the batches are seen in this process and in order, on whatever thread draws
them. Nothing is copied or kept but numbers, and the time this takes is bounded by a share of the training's.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from archiver.collect.arrays import SEGMENT_ELEMENTS, ArrayDescription, blocks
from archiver.collect.data import named_data
from archiver.collect.labels import LabelCounter
from archiver.collect.splits import read_array, unread_array
from archiver.records.base import Unavailable
from archiver.records.dataset import ArrayPart, BatchesPart, PassPart

BUDGET_SHARE = 0.008
"""Of the elapsed time; counting takes its part too, and together they stay below 1 %."""
DESCRIBED_BYTES = 4 << 20
"""Of one batch, per array; beyond it only the first samples are described."""
MAXIMAL_PASSES = 50
MAXIMAL_SIZES = 20
MAXIMAL_SHAPES = 10

_GENERATORS = {
    "PyDatasetAdapter": (
        "_finite_generator", "_infinite_generator", "_finite_enqueuer_generator", "_infinite_enqueuer_generator",
    ),
    "GeneratorDataAdapter": ("generator",),
}  # fmt: skip
_STRUCTURES = (tuple, list, dict)
_TF_DATA = (
    "batches of tf.data stay inside TensorFlow and are not seen from Python; give the arrays behind them with data="
)


class Budget:
    """The time that all observers of a `fit` may take."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.spent_seconds = 0.0

    def has_room(self, now: float, cost_seconds: float) -> bool:
        """Whether something that takes `cost_seconds` may be done now."""
        return self.spent_seconds + cost_seconds < BUDGET_SHARE * (now - self.started)


@dataclass
class _Pass:
    batch_count: int = 0
    sample_count: int | None = 0
    """None where a batch had no length."""
    times: int = 1
    """That passes were like this, one after the other."""

    def part(self) -> PassPart:
        unknown = Unavailable(unavailable="a batch had no length")
        return PassPart(
            pass_count=self.times,
            batch_count=self.batch_count,
            sample_count=unknown if self.sample_count is None else self.sample_count,
        )


class BatchObserver:
    """Counts the batches of one data set, and describes as many as the time allows."""

    def __init__(self, budget: Budget) -> None:
        self.error: Exception | None = None
        self._budget = budget
        self._seconds = 0.0
        self._last_cost = 0.0
        self._is_off = False
        self._lock = threading.Lock()
        self._passes: list[_Pass] = []
        self._pass = _Pass()
        self._batch_sizes: Counter[int] = Counter()
        self._described = [0, 0]
        self._arrays: dict[str, _PassingArray] = {}
        self._unread: dict[str, ArrayPart] = {}
        self._labels: dict[str, LabelCounter] = {}

    def begin_pass(self) -> None:
        """The data set is begun anew."""
        with self._lock:
            self._end_pass()

    def _end_pass(self) -> None:
        ended, self._pass = self._pass, _Pass()
        last = self._passes[-1] if self._passes else None
        if not ended.batch_count:
            return
        if last is not None and (last.batch_count, last.sample_count) == (ended.batch_count, ended.sample_count):
            last.times += 1
        else:
            self._passes.append(ended)

    def see(self, batch: Any) -> None:
        """Look at a batch; never raises, and changes nothing."""
        if self._is_off:
            return
        now = time.perf_counter()
        with self._lock:
            try:
                self._count(batch)
                if not self._described[0] or self._budget.has_room(now, self._last_cost):
                    self._describe(batch)
                    self._last_cost = time.perf_counter() - now
            except Exception as error:  # noqa: BLE001 - training never fails because of archiving
                self.error, self._is_off = error, True
            cost = time.perf_counter() - now
            self._seconds += cost
            self._budget.spent_seconds += cost

    def _count(self, batch: Any) -> None:
        size = _sample_count(batch)
        self._pass.batch_count += 1
        if size is None or self._pass.sample_count is None:
            self._pass.sample_count = None
        else:
            self._pass.sample_count += size
            key = size if size in self._batch_sizes or len(self._batch_sizes) < MAXIMAL_SIZES else -1
            self._batch_sizes[key] += 1

    def _describe(self, batch: Any) -> None:
        leaves = named_data(batch if isinstance(batch, tuple) else (batch,))
        for name, value in leaves:
            array = read_array(value)
            if isinstance(array, Unavailable):
                self._unread[name] = unread_array(name, value, array)
                continue
            if name not in self._arrays:
                self._arrays[name] = _PassingArray(name, array)
            shown = self._arrays[name].add(array)
            if name.partition("/")[0] == "y":
                self._labels.setdefault(name, LabelCounter()).update(shown)
            if name == leaves[0][0]:
                self._described[1] += len(shown) if shown.ndim else 0
        self._described[0] += 1

    def stop(self) -> None:
        """Look at nothing any more."""
        with self._lock:
            self._is_off = True
            self._end_pass()

    def samples_in_a_pass(self, batch_count: int | None) -> int | None:
        """Samples in each pass of `batch_count` batches, where all those had equally many."""
        counts = {each.sample_count for each in self._passes if each.batch_count == batch_count}
        return counts.pop() if len(counts) == 1 else None

    def part(self) -> BatchesPart | Unavailable:
        """What was seen, after `stop`."""
        if self.error is not None:
            return Unavailable(unavailable=f"looking at the batches failed ({type(self.error).__name__})")
        if not self._passes:
            return Unavailable(unavailable="no batch passed")
        unknown = Unavailable(unavailable="a batch had no length")
        samples = [each.times * each.sample_count for each in self._passes if each.sample_count is not None]
        return BatchesPart(
            batch_count=sum(each.times * each.batch_count for each in self._passes),
            sample_count=sum(samples) if len(samples) == len(self._passes) else unknown,
            described_batch_count=self._described[0],
            described_sample_count=self._described[1],
            passes=tuple(each.part() for each in self._passes[:MAXIMAL_PASSES]),
            batch_sizes={"other" if size < 0 else str(size): count for size, count in self._batch_sizes.items()},
            batch_shapes={name: tuple(array.shapes) for name, array in self._arrays.items()},
            arrays=(*(array.part() for array in self._arrays.values()), *self._unread.values()),
            classes={name: counter.distribution() for name, counter in self._labels.items()},
            seconds=self._seconds,
        )


class _PassingArray:
    """One array of the batches."""

    def __init__(self, name: str, array: np.ndarray[Any, Any]) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self._shape: tuple[int | None, ...] | None = None
        self._dtype = array.dtype
        capacity = max(1, min(array.size, SEGMENT_ELEMENTS))
        self._description = ArrayDescription(name, array.dtype, with_fingerprint=False, capacity=capacity)

    def add(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Describe the first samples of a batch, which are returned."""
        if array.dtype != self._dtype:
            raise TypeError(f"a batch of {array.dtype} came after batches of {self._dtype}")
        shown = array[: max(1, DESCRIBED_BYTES * len(array) // max(1, array.nbytes))] if array.ndim else array
        for block in blocks(shown):
            self._description.update(block)
        self._shape = array.shape if self._shape is None else _common(self._shape, array.shape)
        if array.shape not in self.shapes and len(self.shapes) < MAXIMAL_SHAPES:
            self.shapes.append(array.shape)
        return shown

    def part(self) -> ArrayPart:
        return self._description.part(self._shape or (), "batches that pass are not hashed")


def _common(one: tuple[int | None, ...], other: tuple[int, ...]) -> tuple[int | None, ...]:
    if len(one) != len(other):
        raise TypeError(f"a batch of {len(other)} dimensions came after batches of {len(one)}")
    return tuple(a if a == b else None for a, b in zip(one, other, strict=True))


def _sample_count(batch: Any) -> int | None:
    """The length of the first array of a batch."""
    while isinstance(batch, _STRUCTURES) and batch:  # a union of types takes five times as long
        batch = next(iter(batch.values())) if isinstance(batch, dict) else batch[0]
    shape = getattr(batch, "shape", None)
    return int(shape[0]) if shape else None


class PassingBatches:
    """The observers of one `fit`, by split, and the wrappers through which they see."""

    def __init__(self) -> None:
        self.observers: dict[str, BatchObserver | Unavailable] = {}
        self._budget = Budget()
        self._wrapped: list[tuple[weakref.ref[Any], str, BatchObserver]] = []

    def watch(self, split: str, epoch_iterator: Any) -> None:
        """Look at the batches that this iterator draws from now on; once per split."""
        if split in self.observers or epoch_iterator is None:
            return
        adapter = getattr(epoch_iterator, "data_adapter", None)
        kind = type(adapter).__name__
        if kind == "ArrayDataAdapter":
            return
        names = [name for name in _GENERATORS.get(kind, ()) if callable(getattr(adapter, name, None))]
        if kind == "TFDatasetAdapter":
            self.observers[split] = Unavailable(unavailable=_TF_DATA)
        elif not names:
            reason = f"Keras {keras.__version__} hands batches on through {kind}, which is not looked into; give data="
            self.observers[split] = Unavailable(unavailable=reason)
        else:
            observer = self.observers[split] = BatchObserver(self._budget)
            for name in names:
                _attach(adapter, name, observer)
                self._wrapped.append((weakref.ref(adapter), name, observer))

    def remove(self) -> None:
        """Take the wrappers away, and look at nothing any more."""
        for observer in self.observers.values():
            if isinstance(observer, BatchObserver):
                observer.stop()
        while self._wrapped:
            adapter, name, observer = self._wrapped.pop()
            _detach(adapter(), name, observer)


def _attach(adapter: Any, name: str, observer: BatchObserver) -> None:
    """One wrapper serves all archives of a `fit`."""
    wrapper = vars(adapter).get(name)
    if not hasattr(wrapper, "archiver_observers"):
        wrapper = _wrapper(getattr(adapter, name), was_set=name in vars(adapter))
        setattr(adapter, name, wrapper)
    wrapper.archiver_observers.append(observer)


def _detach(adapter: Any, name: str, observer: BatchObserver) -> None:
    wrapper = vars(adapter).get(name) if adapter is not None else None
    observers = getattr(wrapper, "archiver_observers", [])
    if observer in observers:
        observers.remove(observer)
        if not observers:
            original = wrapper.archiver_original  # type: ignore[union-attr]
            with contextlib.suppress(AttributeError):
                delattr(adapter, name) if original is None else setattr(adapter, name, original)


def _wrapper(inner: Callable[[], Any], *, was_set: bool) -> Any:
    observers: list[BatchObserver] = []
    # A method is held weakly: it would hold its adapter, which holds this wrapper, and with it the data after `fit`.
    method: Callable[[], Any] = weakref.WeakMethod(inner) if hasattr(inner, "__self__") else lambda: inner

    def passing() -> Iterator[Any]:
        for observer in observers:
            observer.begin_pass()
        for batch in method()():
            for observer in observers:
                observer.see(batch)
            yield batch

    passing.archiver_observers = observers  # type: ignore[attr-defined]
    passing.archiver_original = inner if was_set else None  # type: ignore[attr-defined]
    return passing

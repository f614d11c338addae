"""Candidates on their way to processes: how many at once, and whether their memory will fit."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from archiver.ensemble.candidates import Candidate
from archiver.ensemble.console import Console
from archiver.ensemble.journal import earlier_ensembles
from archiver.ensemble.prediction import MemoryModel, MemoryRow
from archiver.ensemble.training import CandidateJob, CandidateResult, failed, read_result, train_candidate
from archiver.errors import ArgumentError, MissingExtraError
from archiver.records.ensemble import MEBIBYTE, EnsembleBegan, EnsembleIteration, MemoryUse, Prediction
from archiver.sampling.memory_sources import ContainerMemory, SystemMemoryReader

OnMemory = Literal["warn", "skip"]
MINIMAL_EXCESS_MB = 16.0
"""Beyond what was expected at most; less is nobody's trouble."""


class Dispatcher:
    """Trains candidates through joblib, and watches over their memory.

    Args:
        folder: of the ensemble; what ensembles beside it have measured is learnt from, too.
        began: what is known of the data.
        n_jobs: see `hill_climb`.
        on_memory: see `hill_climb`.
        memory_alert_mb: see `hill_climb`.

    Raises:
        ArgumentError: an argument cannot be used.
    """

    def __init__(
        self, folder: Path, began: EnsembleBegan, n_jobs: int | None, on_memory: OnMemory, memory_alert_mb: float | None
    ) -> None:
        if n_jobs is not None and (not isinstance(n_jobs, int) or isinstance(n_jobs, bool) or n_jobs == 0):
            raise ArgumentError(f"Received n_jobs={n_jobs!r}. Expected a whole number, -1 for all, or None.")
        if on_memory not in ("warn", "skip"):
            raise ArgumentError(f"Received on_memory={on_memory!r}. Expected 'warn' or 'skip'.")
        if memory_alert_mb is not None and not memory_alert_mb > 0:
            raise ArgumentError(f"Received memory_alert_mb={memory_alert_mb!r}. Expected a positive number, or None.")
        self._began, self._n_jobs, self._on_memory, self._alert_mb = began, n_jobs, on_memory, memory_alert_mb
        self.predictions: dict[str, Prediction] = {}
        """By candidate, what was expected when it was started."""
        self._warnings: dict[str, str] = {}
        self._lock = threading.Lock()
        self._rows = [
            MemoryRow.of(other.began, line)
            for other in earlier_ensembles(folder)
            if other.began is not None
            for line in other.iterations
        ]
        self._base_bytes = 0
        """What a process had before it trained, at most."""
        self._started: list[CandidateJob] = []
        """Those whose memory is not known yet."""

    def learn(self, lines: Iterable[EnsembleIteration]) -> None:
        """Take what an earlier search has measured into account."""
        for line in lines:
            self._add(MemoryRow.of(self._began, line), line.memory)

    def _row(self, candidate: Candidate) -> MemoryRow:
        began = self._began
        sizes = began.sample_count, began.feature_count, began.data_bytes
        return MemoryRow(candidate.classifier_type, candidate.configuration, *sizes)

    def _add(self, row: MemoryRow, memory: MemoryUse | None) -> None:
        if memory is not None:
            self._rows.append(replace(row, memory_mb=memory.added_mb))
            self._base_bytes = max(self._base_bytes, memory.before_bytes)

    def _learn_from_finished(self) -> None:
        """Results are there before anybody has looked at them: while the second stage is trained, more are started."""
        unknown = []
        for job in self._started:
            result = read_result(job)
            if result is None:
                unknown.append(job)
            else:
                self._add(self._row(job.candidate), result.memory)
        self._started = unknown

    def results(self, jobs: list[CandidateJob], tell: Console) -> Iterator[tuple[Candidate, CandidateResult]]:
        """Each candidate with its result, in order; the next ones are trained meanwhile."""
        try:
            import joblib
        except ImportError as error:
            raise MissingExtraError("joblib is not installed. pip install 'keras-archiver[ensemble]'") from error
        at_once = joblib.effective_n_jobs(self._n_jobs)
        # The processes are ours: threads wait for them, unless joblib is told to use machines.
        options = {"n_jobs": self._n_jobs, "prefer": "threads", "pre_dispatch": "n_jobs", "batch_size": 1}
        tasks = (joblib.delayed(self._task(job, at_once, tell))(job) for job in jobs)
        try:
            parallel = joblib.Parallel(return_as="generator", **options)
        except ValueError:  # a backend that returns only when all is done
            found = _in_parts(joblib, options, tasks, at_once)
        else:
            found = parallel(tasks)
        yield from zip((job.candidate for job in jobs), found, strict=True)

    def _task(self, job: CandidateJob, at_once: int, tell: Console) -> Any:
        warning = self._expect(job, at_once)
        if warning is not None:
            tell.warn(job.candidate, warning)
            if self._on_memory == "skip":
                return _Skipped(f"not started: {warning}")
        return _Training(max(1, (os.cpu_count() or 1) // at_once))

    def _expect(self, job: CandidateJob, at_once: int) -> str | None:
        """Predict a candidate's memory; why it will not fit, or None."""
        candidate = job.candidate
        with self._lock:
            self._learn_from_finished()
            self._started.append(job)
            rows, base = list(self._rows), self._base_bytes
        prediction = MemoryModel(rows).predict(self._row(candidate))
        if prediction is None:
            return None
        self.predictions[candidate.name] = prediction
        needed, available = prediction.high_mb * MEBIBYTE + base, available_bytes()
        if needed <= available:
            return None
        warning = (
            f"expected to take {prediction.memory_mb:,.0f} MB, up to {prediction.high_mb:,.0f} MB (from "
            f"{prediction.row_count} candidates), beside the {base / MEBIBYTE:,.0f} MB of its process; "
            f"{available / MEBIBYTE:,.0f} MB are available, for {at_once} at once"
        )
        self._warnings[candidate.name] = warning
        return warning

    def alerts(self, candidate: Candidate, result: CandidateResult) -> list[str]:
        """What was noteworthy about a candidate's memory."""
        found = [self._warnings[candidate.name]] if candidate.name in self._warnings else []
        if result.memory is None:
            return found
        used, prediction = result.memory.added_mb, self.predictions.get(candidate.name)
        if self._alert_mb is not None and used > self._alert_mb:
            found.append(f"took {used:,.0f} MB, more than the {self._alert_mb:,.0f} MB of memory_alert_mb")
        if prediction is not None and used > prediction.high_mb + MINIMAL_EXCESS_MB:
            found.append(f"took {used:,.0f} MB, more than the {prediction.high_mb:,.0f} MB expected at most")
        return found


class _Training:
    """Trains the candidate of a job; its libraries use so many threads."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def __call__(self, job: CandidateJob) -> CandidateResult:
        return train_candidate(job, self.threads)


class _Skipped:
    """Stands for the training of a candidate that is not started."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __call__(self, job: CandidateJob) -> CandidateResult:
        return failed(job.candidate, self.reason)


def _in_parts(joblib: Any, options: dict[str, Any], tasks: Iterator[Any], size: int) -> Iterator[Any]:
    while part := list(islice(tasks, size)):
        yield from joblib.Parallel(**options)(part)


def available_bytes() -> int:
    """What processes can still get: of the machine, and of the container."""
    available = SystemMemoryReader().read().available_bytes
    container = ContainerMemory()
    used = container.working_set_bytes()
    if container.limit_bytes is None or used is None:
        return available
    return min(available, max(0, container.limit_bytes - used))

"""The step trace: when each step ended, and what Keras told of the loss then.

Keras passes the *running mean* of the loss over the epoch so far, not the loss of the step. The hook appends to a list,
which goes into preallocated arrays; what is new in them is appended to the file with each sample of the telemetry and
at the end of the epoch. Long runs are thinned: an epoch may keep a sixteenth of what is left of `MAXIMAL_ROWS`, but
`MINIMAL_ROWS_PER_EPOCH` at least (`LATE_ROWS_PER_EPOCH` once all are used) and `CAPACITY` at most, and every second,
fourth, ... step for that from then on: what is in the file already stays. The number of steps and their times are not
thinned.
"""

from __future__ import annotations

import statistics
import threading
from array import array
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import monotonic, perf_counter_ns
from typing import Any

from archiver.storage import files

HEADER = b"elapsed_seconds,part,phase,epoch,step,running_mean_loss\n"
MAXIMAL_ROWS = 1_000_000
MINIMAL_ROWS_PER_EPOCH = 64
LATE_ROWS_PER_EPOCH = 8
CAPACITY = 1 << 14
"""Writing as many rows takes ten milliseconds, between two epochs of at least as many steps."""

MEDIAN_STRETCHES = 256
WAITING_ROWS = 256
"""So many are brought into the arrays at a time, which takes a tenth of a millisecond."""


@dataclass(frozen=True)
class StepSummary:
    """The steps of an epoch so far. Times are in seconds of `perf_counter`."""

    count: int
    first_end_seconds: float
    """End of the first step; with `steps_per_execution`, of the first execution."""
    last_end_seconds: float
    median_seconds: float | None
    """Of a step, from the second on; over at most `MEDIAN_STRETCHES` stretches of steps. None with one step."""


class StepRing:
    """Preallocated arrays of one epoch's steps: end time (perf_counter_ns), step number, running mean of the loss.

    Between two steps, hardly anything of the interpreter is left in the processor's caches: each more kind of object
    that `record` touches costs a microsecond. So it appends to a list, which goes into the arrays now and then.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._times = array("q", bytes(8 * capacity))
        self._steps = array("q", bytes(8 * capacity))
        self._losses = array("d", bytes(8 * capacity))
        self._waiting: list[tuple[int, int, float]] = []
        self._lock = threading.Lock()
        self.start(capacity)

    def start(self, capacity: int) -> None:
        """Forget what was recorded; keep at most `capacity` rows from now on."""
        with self._lock:
            self._waiting.clear()
            self._capacity = min(capacity, len(self._times))
            self._stride = 1
            self._seen = 0
            self._count = 0
            self._taken = 0
            self._last_step = -1
            self._last_time = 0

    def record(self, step: int, loss: Any) -> None:
        """Note that `step` has ended. Called from any thread.

        `step` is Keras' number, from 0 within the epoch; with `steps_per_execution` it is that of the last step of the
        execution, and may lie behind the end of the epoch.
        """
        waiting = self._waiting
        waiting.append((perf_counter_ns(), step, float(loss)))
        if len(waiting) >= WAITING_ROWS:
            with self._lock:
                self._store()

    def _store(self) -> None:
        """Bring what waits into the arrays. Other threads may append meanwhile, but none takes away."""
        count = len(self._waiting)
        rows = self._waiting[:count]
        del self._waiting[:count]
        while rows:
            first = -self._seen % self._stride
            fitting = rows[: first + (self._capacity - self._count) * self._stride]
            if not fitting:
                self._halve()
                continue
            self._keep(fitting[first :: self._stride])
            self._seen += len(fitting)
            self._last_step = max(self._last_step, *(step for _, step, _ in fitting))
            self._last_time = fitting[-1][0]
            rows = rows[len(fitting) :]

    def _keep(self, rows: list[tuple[int, int, float]]) -> None:
        columns: tuple[array[Any], ...] = (self._times, self._steps, self._losses)
        kept = slice(self._count, self._count + len(rows))
        for column, values in zip(columns, zip(*rows, strict=True), strict=False):  # without rows, there are no values
            column[kept] = array(column.typecode, values)
        self._count = kept.stop

    def _halve(self) -> None:
        kept = self._count
        columns: tuple[array[Any], ...] = (self._times, self._steps, self._losses)
        for column in columns:
            every_second = column[:kept:2]
            column[: len(every_second)] = every_second
        self._count, self._taken = (kept + 1) // 2, (self._taken + 1) // 2
        self._stride *= 2

    def summary(self) -> StepSummary | None:
        """How many steps there were, and how long they took; None without any."""
        with self._lock:
            self._store()
            if not self._count:
                return None
            stride = -(-self._count // MEDIAN_STRETCHES)
            times, steps = self._times[: self._count : stride], self._steps[: self._count : stride]
            return StepSummary(
                count=self._last_step + 1,
                first_end_seconds=times[0] / 1e9,
                last_end_seconds=self._last_time / 1e9,
                median_seconds=_median_seconds(times, steps),
            )

    def take(self) -> list[tuple[int, int, float]]:
        """(end time in ns, step, running mean of the loss) of what was not taken yet, in order of time."""
        with self._lock:
            self._store()
            new = slice(self._taken, self._count)
            self._taken = self._count
            return sorted(zip(self._times[new], self._steps[new], self._losses[new], strict=True))


def _median_seconds(times: array[int], steps: array[int]) -> float | None:
    """Of a step; threads may report two of them in the wrong order, which is left out."""
    ends = list(zip(times, steps, strict=True))
    spans = [
        (after[0] - before[0]) / (after[1] - before[1]) for before, after in pairwise(ends) if after[1] > before[1]
    ]
    return statistics.median(spans) / 1e9 if spans else None


class StepTrace:
    """Writes `traces/steps.csv`. Any thread may flush."""

    def __init__(self, path: Path, part: int) -> None:
        self.path = path
        self.ring = StepRing()
        self._part = part
        self.origin_seconds = monotonic()
        """The moment from which `elapsed_seconds` counts, as `time.monotonic()` tells it."""
        self._start_nanoseconds = perf_counter_ns()
        self._written_rows = 0
        self._running: tuple[int, int] | None = None
        """Phase and epoch, while it is known which."""
        self._lock = threading.Lock()

    def begin_epoch(self, phase: int, epoch: int) -> None:
        """Make room for an epoch."""
        with self._lock:
            left = MAXIMAL_ROWS - self._written_rows
            least = MINIMAL_ROWS_PER_EPOCH if left > 0 else LATE_ROWS_PER_EPOCH
            self.ring.start(max(least, left // 16))
            self._running = phase, epoch

    def flush(self) -> None:
        """Append what is new of the running epoch to the file.

        Raises:
            StorageError: the file system refused.
        """
        with self._lock:
            if self._running is not None:
                self._append(*self._running)

    def end_epoch(self, phase: int, epoch: int) -> None:
        """Append the rest of the epoch's rows to the file.

        Raises:
            StorageError: the file system refused.
        """
        with self._lock:
            self._running = None
            self._append(phase, epoch)
            self.ring.start(MINIMAL_ROWS_PER_EPOCH)

    def _append(self, phase: int, epoch: int) -> None:
        rows = self.ring.take()
        if not rows:
            return
        line = f"%.6f,{self._part},{phase},{epoch},%d,%r\n"
        start = self._start_nanoseconds
        values = tuple(value for time, step, loss in rows for value in ((time - start) / 1e9, step, loss))
        text = line * len(rows) % values  # in half the time of a text for each row
        if not self.path.exists():
            files.write_bytes(self.path, HEADER)
        files.append_bytes(self.path, text.encode())
        self._written_rows += len(rows)

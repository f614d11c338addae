"""Recordings packed in worker processes, in the order in which they were given."""

from __future__ import annotations

import contextlib
import pickle
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from archiver.data.cache.extraction import Windowing
from archiver.data.cache.packing import FailedRecording, PackedRecording, Stopped, StoppedRecording, pack_recording
from archiver.data.cache.recording import RecordingSource
from archiver.data.cache.records import CacheHeader
from archiver.data.cache.stopping import Stopping, watched_memory
from archiver.errors import ArgumentError, MissingExtraError

Packed = PackedRecording | FailedRecording | StoppedRecording


@dataclass(frozen=True)
class Work:
    """What every worker needs.

    Attributes:
        windowing: how windows are cut.
        header: of the cache.
        folder: for packed windows that wait to be put into the cache.
        memory_limit_bytes: of each worker; None: 85 % of what it can get.
    """

    windowing: Windowing
    header: CacheHeader
    folder: Path
    memory_limit_bytes: int | None

    @property
    def stop_file(self) -> Path:
        """There when the workers should stop."""
        return self.folder / "stop"


def packed_in_workers(
    sources: Sequence[RecordingSource], work: Work, worker_count: int, stopping: Stopping
) -> Iterator[Packed]:
    """Each recording, packed into a file of its own, or why it could not be.

    Args:
        sources: what is packed.
        work: how.
        worker_count: processes.
        stopping: says when no more recordings are begun.

    Raises:
        ArgumentError: a source cannot go to another process.
        MissingExtraError: joblib is not installed.
        Stopped: a worker process was ended from outside.
    """
    try:
        import joblib
        from joblib.externals.loky.process_executor import BrokenProcessPool, TerminatedWorkerError
    except ImportError as error:
        raise MissingExtraError('Several workers need joblib: pip install "keras-archiver[data]".') from error
    tasks = (joblib.delayed(_in_worker)(*numbered, work) for numbered in enumerate(_until(sources, stopping)))
    stopping.on_ask = work.stop_file.touch
    try:
        yield from joblib.Parallel(n_jobs=worker_count, return_as="generator", pre_dispatch="2*n_jobs")(tasks)
    except TerminatedWorkerError as error:
        reason = "a worker process was ended from outside: by the kernel, where memory ran out"
        stopping.ask(reason, is_memory=True)
        raise Stopped(reason, is_memory=True) from error
    except (BrokenProcessPool, pickle.PicklingError) as error:
        raise ArgumentError(
            f"Received recordings that cannot go to another process ({error}). Expected RecordingSource with functions "
            "of a module that every process can import, or workers=1."
        ) from error


def _until(sources: Sequence[RecordingSource], stopping: Stopping) -> Iterator[RecordingSource]:
    for source in sources:
        if stopping.reason is not None:
            return
        yield source


def _in_worker(number: int, source: RecordingSource, work: Work) -> Packed:
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the builder alone decides
    stopping = Stopping()

    def check() -> None:
        if work.stop_file.exists():
            stopping.ask("the build was stopped")
        stopping.check()

    with watched_memory(stopping, work.memory_limit_bytes):
        return pack_recording(source, work.windowing, work.header, work.folder / f"{number}.packed", check)

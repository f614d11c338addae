"""archiver as it comes: a snapshot and the step trace after every epoch, telemetry at 1 Hz, figures at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

OPTIONS: dict[str, Any] = {}


def load() -> None:
    """The callback is imported when it is asked for."""
    import archiver

    assert archiver.RunArchiver


def train(folder: Path, fit: Any) -> None:
    """One callback; the archive is sealed when `fit` returns."""
    import archiver

    fit([archiver.RunArchiver(folder / "runs", name="run", **OPTIONS)])


def kept_steps(folder: Path) -> int:
    """Steps up to the last one in the trace, thinned ones included."""
    trace = folder / "runs" / "run_models" / "traces" / "steps.csv"
    if not trace.exists():
        return 0
    header, *rows = trace.read_text().splitlines()
    epoch, step = (header.split(",").index(name) for name in ("epoch", "step"))
    last = rows[-1].split(",")
    (per_epoch,) = {max(int(row.split(",")[step]) for row in rows) + 1}
    return int(last[epoch]) * per_epoch + int(last[step]) + 1


def last_sample(folder: Path) -> float | None:
    """Time of the last line of telemetry, as seconds since 1970."""
    trace = folder / "runs" / "run_models" / "traces" / "memory.csv"
    return trace.stat().st_mtime if trace.exists() else None


def not_counted(folder: Path) -> float:
    """Saving the models, as the journal tells it, and hashing all files, measured again."""
    import time

    from archiver import Run
    from archiver.storage.digests import ALGORITHMS
    from archiver.storage.hashing import hash_files, regular_files

    run = Run.open(folder / "runs" / "run_models")
    saving = sum(
        float(event.details["seconds"]) for event in run.journal.read().events if event.event == "models_saved"
    )
    sizes = regular_files(run.path)
    began = time.perf_counter()
    hash_files(run.path, sizes, ALGORITHMS)
    return saving + time.perf_counter() - began

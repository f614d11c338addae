"""Verifying a store of many small archives: one after the other, by processes, and by the workers of a Dask cluster.

python -m benchmarks.store [--runs 1000] [--rounds 3]

The cluster is a real scheduler with two worker processes on this machine; what is measured there is its overhead. A
second row for one process (A/A) tells the noise.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from archiver.archive.run import find_archives
from archiver.archive.store_verifying import verify_store
from archiver.testing import tiny_run
from benchmarks.common import interleaved, print_machine, print_table, seconds, spread
from tests.clusters import dask_cluster

ONE, AGAIN = "one process", "one process, again (A/A)"


def verify_all(paths: list[Path], jobs: int | None, cluster: str | None) -> None:
    found = list(verify_store(paths, jobs=jobs, cluster=cluster))
    assert len(found) == len(paths)
    assert all(each.result is not None and each.result.is_whole for each in found)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as text, dask_cluster() as address:
        for number in range(arguments.runs):
            tiny_run(Path(text), f"run_{number:04}")
        paths = find_archives(Path(text))
        work: dict[str, Callable[[], float]] = {
            ONE: lambda: seconds(lambda: verify_all(paths, 1, None)),
            "two processes": lambda: seconds(lambda: verify_all(paths, 2, None)),
            "a Dask cluster of two processes": lambda: seconds(lambda: verify_all(paths, None, address)),
            AGAIN: lambda: seconds(lambda: verify_all(paths, 1, None)),
        }
        verify_all(paths[:10], 2, None)
        verify_all(paths[:10], None, address)
        found = interleaved(work, arguments.rounds)
    rows = []
    for name, times in found.items():
        ratio = statistics.median(one / time for one, time in zip(found[ONE], times, strict=True))
        processes = 1 if name in (ONE, AGAIN) else 2
        overhead = (processes / ratio - 1) * statistics.median(found[ONE]) / len(paths) / processes * 1e3
        rows.append((name, spread(times, " s"), f"{ratio:.2f}", f"{overhead:.2f} ms"))
    print_table(
        f"verify of {len(paths):,} small archives, warm",
        ("by", "time", "speed-up", "overhead per archive and process"),
        rows,
    )


if __name__ == "__main__":
    main()

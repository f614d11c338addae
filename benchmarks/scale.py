"""A million archives in an object store, simulated: listing them, keeping an index of them, verifying a petabyte.

python -m benchmarks.scale [--archives 1000000] [--seed 0]

Nothing is sent anywhere: this is arithmetic with chance in it. What is assumed stands in `Assumptions`, each with where
it comes from; docs/scale.md draws the conclusions.
"""

from __future__ import annotations

import argparse
import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import print_table

Floats = NDArray[np.float64]
HOUR_SECONDS = 3600.0


@dataclass(frozen=True)
class Assumptions:
    """What the simulation takes for given."""

    files_per_archive: int = 55
    """Of an archive with one phase, telemetry and figures (`archiver verify` counts them)."""
    mean_archive_bytes: float = 1e9
    """So that a million archives are a petabyte."""
    size_sigma: float = 1.5
    """Of the lognormal distribution of sizes: one archive in a hundred has ten times the mean."""
    keys_per_page: int = 1000
    """Of S3's ListObjectsV2, at the most."""
    list_seconds: float = 0.12
    """Median of a page. To be measured for a store: it differs by a factor of three."""
    get_seconds: float = 0.03
    """Median until the first byte."""
    latency_sigma: float = 0.5
    """Of the lognormal distribution of both."""
    failure_share: float = 1e-4
    """Of requests: they are sent again after a second."""
    stream_bytes_per_second: float = 80e6
    """One connection."""
    network_bytes_per_second: float = 1.25e9
    """One worker: 10 Gbit/s."""
    hash_bytes_per_second: float = 2e9
    """One worker of two cores with BLAKE3 (`python -m benchmarks.verify`, the slower figures)."""
    check_seconds: float = 0.02
    """Of the records of one archive, once they are there (`python -m benchmarks.store`)."""
    streams_per_worker: int = 32
    list_price: float = 0.005 / 1000
    """Dollars for a LIST or PUT request: list price of S3 Standard; check yours."""
    get_price: float = 0.0004 / 1000
    row_bytes: float = 1050.0
    """Of one run in the catalogue, with metrics and indexes (`python -m benchmarks.catalog`: 10.5 MB for 10,000)."""


def latencies(chance: np.random.Generator, median: float, count: int, given: Assumptions) -> Floats:
    """Seconds of so many requests, those that fail and are sent again included."""
    times = chance.lognormal(np.log(median), given.latency_sigma, count)
    failures = chance.binomial(1, given.failure_share, count)
    return np.asarray(times + failures * (1 + times), dtype=np.float64)


def makespan(times: Floats, servers: int) -> float:
    """Seconds until all is done, when each of the servers takes the next piece as soon as it is free."""
    free = [0.0] * servers
    for time in times:
        heapq.heapreplace(free, free[0] + float(time))
    return max(free)


def listing_rows(count: int, given: Assumptions, chance: np.random.Generator) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for what, keys in (
        ("every key", count * given.files_per_archive),
        ("every key of one partition in 36", count * given.files_per_archive // 36),
        ("the folders only (delimiter /): no stamps", count),
    ):
        pages = -(-keys // given.keys_per_page)
        times = latencies(chance, given.list_seconds, pages, given)
        cost = pages * given.list_price
        alone, parallel = float(times.sum()), makespan(times, 64)
        rows.append((what, f"{pages:,}", f"{alone / HOUR_SECONDS:.2f} h", f"{parallel:,.0f} s", f"${cost:,.2f}"))
    heads = latencies(chance, given.get_seconds, count, given)
    parallel = makespan(heads, 64)
    rows.append((
        "a HEAD of each seal", f"{count:,}", f"{float(heads.sum()) / HOUR_SECONDS:.2f} h", f"{parallel:,.0f} s",
        f"${count * given.get_price:,.2f}",
    ))  # fmt: skip
    return rows


def index_rows(count: int, given: Assumptions, chance: np.random.Generator) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for partitions in (1, 36, 1000):
        runs = count // partitions
        reads = latencies(chance, given.get_seconds, 2 * runs, given)
        rows.append((
            f"{partitions:,}", f"{runs:,}", f"{runs * given.row_bytes / 1e6:,.1f} MB",
            f"{2 * runs:,}", f"{makespan(reads, 64):,.0f} s", f"${2 * runs * given.get_price:,.2f}",
        ))  # fmt: skip
    return rows


def verify_rows(count: int, given: Assumptions, chance: np.random.Generator) -> list[tuple[str, ...]]:
    mu = np.log(given.mean_archive_bytes) - given.size_sigma**2 / 2
    sizes = chance.lognormal(mu, given.size_sigma, count)
    waiting = latencies(chance, given.get_seconds, count, given) * given.files_per_archive / given.streams_per_worker
    speed = min(
        given.network_bytes_per_second,
        given.hash_bytes_per_second,
        given.streams_per_worker * given.stream_bytes_per_second,
    )
    times = waiting + sizes / speed + given.check_seconds
    requests = count * given.files_per_archive
    rows: list[tuple[str, ...]] = []
    for workers in (1, 16, 256):
        hours = makespan(times, workers) / HOUR_SECONDS
        ideal = float(times.sum()) / workers / HOUR_SECONDS
        rows.append((
            f"{workers:,}", f"{sizes.sum() / 1e15:.2f} PB", f"{requests:,}", f"{hours:,.1f} h",
            f"{hours / ideal - 1:.2%}", f"${requests * given.get_price:,.0f}",
        ))  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--archives", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    given, count = Assumptions(), arguments.archives
    chance = np.random.default_rng(arguments.seed)
    print_table(
        f"Listing {count:,} archives",
        ("what is listed", "requests", "one after the other", "64 at once", "price"),
        listing_rows(count, given, chance),
    )
    print_table(
        "Reading one partition of the index anew, 64 requests at once",
        ("partitions", "archives in one", "its catalogue", "requests", "time", "price"),
        index_rows(count, given, chance),
    )
    print_table(
        "Verifying every byte",
        ("workers", "bytes", "requests", "time", "over the ideal", "price of requests"),
        verify_rows(count, given, chance),
    )


if __name__ == "__main__":
    main()

"""Several processes that train one model together: what each of them wrote, and whether they agreed."""

from __future__ import annotations

from typing import ClassVar, Literal

from archiver.records.base import Count, Part, Real, Record, Sha256, Unavailable
from archiver.records.journal import ProcessIdentity

WorkerOutcome = Literal["complete", "failed", "lost", "absent"]
"""`lost`: it did not say how it ended; `absent`: it wrote nothing."""


class WorkerPart(Part):
    """One process."""

    index: Count
    process: ProcessIdentity | Unavailable
    devices: tuple[str, ...]
    outcome: WorkerOutcome
    reason: str | None
    """Why it is not complete."""
    epoch_count: Count
    """Over all phases."""
    epoch_seconds: Real | None
    """Median of its epochs; null: it has none."""
    peak_rss_bytes: Count | Unavailable
    weights_digest: Sha256 | Unavailable
    """At the end of its last epoch."""


class DisagreementPart(Part):
    """An epoch after which the processes did not have the same weights."""

    phase: Count
    epoch: Count
    digests: dict[str, Sha256]
    """By number of the process."""


class WorkersRecord(Record):
    """`results/<name>_workers.json`: of a training by several processes, drawn from `workers/`."""

    KIND: ClassVar[str] = "workers"

    kind: Literal["workers"] = "workers"
    backend: str
    strategy: str | None
    count: Count
    workers: tuple[WorkerPart, ...]
    compared_epoch_count: Count
    """Epochs of which at least two processes wrote the digest of their weights."""
    disagreements: tuple[DisagreementPart, ...]
    """The first ones."""
    disagreement_count: Count
    slowest: Count | None
    """The number of the process with the largest median of its epochs; null: fewer than two have one. Processes that
    train in step wait for each other, so that differences are small."""

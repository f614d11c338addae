"""Processes that trained together: a row for each, and in words whether they agreed."""

from __future__ import annotations

from typing import Any

from archiver.records.journal import ProcessIdentity
from archiver.records.workers import WorkerPart, WorkersRecord
from archiver.report.markdown import format_bytes, format_seconds
from archiver.report.tables import MAXIMAL_ROWS, made
from archiver.report.values import known


def workers_report(record: WorkersRecord | None) -> dict[str, Any] | None:
    """What the report says of them; None: one process trained."""
    if record is None:
        return None
    titles = ["process", "host", "devices", "how it ended", "epochs", "median epoch", "peak memory"]
    rows = [_row(part, record.slowest) for part in record.workers[:MAXIMAL_ROWS]]
    return {"count": record.count, "backend": record.backend, "strategy": record.strategy} | {
        "agreement": _agreement(record),
        "table": made(titles, "rlllrrr", rows),
        "left_out_count": max(0, len(record.workers) - MAXIMAL_ROWS),
    }


def _row(part: WorkerPart, slowest: int | None) -> list[object]:
    host = part.process.host if isinstance(part.process, ProcessIdentity) else "not known"
    role = f"{part.index} (chief)" if part.index == 0 else str(part.index)
    ended = part.outcome if part.reason is None else f"{part.outcome}: {part.reason}"
    seconds = "" if part.epoch_seconds is None else format_seconds(part.epoch_seconds)
    mark = " (slowest)" if part.index == slowest else ""
    peak = known(part.peak_rss_bytes)
    memory = "not measured" if peak is None else format_bytes(peak)
    return [role, host, ", ".join(part.devices), ended, part.epoch_count, f"{seconds}{mark}", memory]


def _agreement(record: WorkersRecord) -> str:
    if not record.compared_epoch_count:
        return "Whether they had the same weights is not known: no epoch has the digests of two processes."
    epochs = "1 epoch" if record.compared_epoch_count == 1 else f"{record.compared_epoch_count} epochs"
    if not record.disagreement_count:
        return f"After each of {epochs} they had the same weights, bit for bit."
    first = record.disagreements[0]
    return (
        f"After {record.disagreement_count} of {epochs} they did not have the same weights, first after epoch "
        f"{first.epoch} of phase {first.phase}: they were not in step."
    )

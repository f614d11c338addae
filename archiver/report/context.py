"""What a template gets: the records of the run, and what is derived from them."""

from __future__ import annotations

from typing import Any

from archiver import layout
from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.records.base import Part
from archiver.report.markdown import Safe
from archiver.report.resources import resources

INVENTORY_MARK = "<!-- archiver: inventory -->"
SUMMARY_MARK = "<!-- archiver: summary -->"

Records = dict[str, Any]
"""By kind; None where there is none, or where it cannot be read."""


def read_records(run: Run) -> Records:
    """Every record of the run."""
    return {entry.record.KIND: _read(run, entry) for entry in layout.RECORD_FILES}


def context(run: Run) -> dict[str, Any]:
    """What a template gets: records by kind (None where there is none), the status, the mark of the inventory."""
    records = read_records(run)
    return records | {
        "resources": resources(run, records["telemetry"]),
        "name": run.name,
        "status": run.status,
        "model_files": {kind: file.path(run.name) for kind, file in layout.MODEL_FORMATS.items() if run.has(file)},
        "best_weights": layout.BEST_WEIGHTS.path(run.name) if run.has(layout.BEST_WEIGHTS) else None,
        "has_patch": run.has(layout.PATCH),
        "has_submodules_patch": run.has(layout.SUBMODULES_PATCH),
        "inventory": Safe(INVENTORY_MARK),
        "summary_mark": Safe(SUMMARY_MARK),
        "is_available": is_available,
    }


def _read(run: Run, entry: layout.RecordFile[Any]) -> Any:
    try:
        return run.read_if_there(entry)
    except ArchiverError:
        return None


def is_available(value: Any) -> bool:
    """Whether a field holds a value, not the reason why there is none."""
    return value is not None and not (isinstance(value, Part) and hasattr(value, "unavailable"))

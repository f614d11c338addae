"""The rows of ensembles, from their journals; of one that cannot be read, the catalogue says why."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from archiver.catalog.columns import ENSEMBLE_COLUMNS
from archiver.catalog.database import ENSEMBLE_LOG, ENSEMBLES
from archiver.catalog.reading import plain, time_text
from archiver.catalog.stamps import FRESH_NS, UNSETTLED
from archiver.ensemble.journal import FOLDER_SUFFIX, JOURNAL_NAME, EnsembleContents, read_ensemble
from archiver.errors import ArchiverError
from archiver.records.ensemble import MEBIBYTE, EnsembleBegan, EnsembleIteration, MemoryUse


def is_ensemble(folder: str) -> bool:
    """Whether a folder holds the journal of an ensemble."""
    return folder.endswith(FOLDER_SUFFIX) and os.path.isfile(f"{folder}/{JOURNAL_NAME}")


def stamp(folder: Path) -> str:
    """What the file system says of an ensemble."""
    try:
        journal = os.stat(folder / JOURNAL_NAME, follow_symlinks=False)
    except OSError:
        return UNSETTLED
    is_fresh = time.time_ns() - journal.st_mtime_ns < FRESH_NS
    return UNSETTLED if is_fresh else f"{journal.st_ino} {journal.st_mtime_ns} {journal.st_size}"


def refresh_ensembles(engine: sql.Engine, store: Path, paths: Mapping[str, str], *, everything: bool = False) -> None:
    """Bring the tables of ensembles up to date.

    Args:
        engine: of `open_database`.
        store: the folder.
        paths: of all ensembles in it, from the store, by their text in the catalogue.
        everything: read those that have not changed too.
    """
    with engine.connect() as connection:
        known = {row.path: row.stamp for row in connection.execute(sql.select(ENSEMBLES.c.path, ENSEMBLES.c.stamp))}
    stamps = {text: stamp(store / path) for text, path in paths.items()}
    changed = [path for path, now in stamps.items() if everything or now == UNSETTLED or known.get(path) != now]
    gone = [path for path in known if path not in paths]
    if changed or gone:
        _write(engine, store, paths, {path: stamps[path] for path in changed}, gone)


def _write(
    engine: sql.Engine, store: Path, paths: Mapping[str, str], changed: Mapping[str, str], gone: Iterable[str]
) -> None:
    heads, rows = [], []
    for path, now in changed.items():
        head, found = _read(store / paths[path], path)
        heads.append(head | {"path": path, "stamp": now})
        rows += found
    replaced = [*changed, *gone]
    with engine.connect().execution_options(writes=True) as connection:
        connection.execute(ENSEMBLE_LOG.delete().where(ENSEMBLE_LOG.c.path.in_(replaced)))
        connection.execute(ENSEMBLES.delete().where(ENSEMBLES.c.path.in_(replaced)))
        for table, values in ((ENSEMBLES, heads), (ENSEMBLE_LOG, rows)):
            if values:
                connection.execute(table.insert(), values)
        connection.commit()


def _read(folder: Path, path: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    name = plain(folder.name.removesuffix(FOLDER_SUFFIX))
    try:
        contents = read_ensemble(folder)
    except (ArchiverError, OSError) as error:
        return {"name": name, "is_complete": False, "problem": plain(str(error))}, []
    if contents.began is None:
        return {"name": name, "is_complete": False, "problem": "its journal is empty"}, []
    head = {"name": plain(contents.began.name), "is_complete": contents.completed is not None, "problem": None}
    return head, _rows(contents, contents.began, path)


def _rows(contents: EnsembleContents, began: EnsembleBegan, path: str) -> list[dict[str, Any]]:
    common = {"ensemble": began.name, "path": path, "metric": began.metric}
    found = (common | _of_iteration(line) for line in contents.iterations)
    return [{column.name: plain(row.get(column.name)) for column in ENSEMBLE_COLUMNS} for row in found]


def _of_iteration(line: EnsembleIteration) -> dict[str, Any]:
    same = (
        "iteration", "candidate", "classifier_type", "score", "ensemble_score", "score_gain", "accepted",
        "training_seconds", "training_memory_mb", "stage2_memory_mb", "error",
    )  # fmt: skip
    stage_two, prediction = line.stage2, line.prediction
    return (
        {name: getattr(line, name) for name in same}
        | _of_memory(line.memory)
        | {
            "predicted_memory_mb": prediction.memory_mb if prediction is not None else None,
            "predicted_high_mb": prediction.high_mb if prediction is not None else None,
            "stage2_seconds": stage_two.seconds if stage_two is not None else None,
            "stage2_score": stage_two.score if stage_two is not None else None,
            "stage2_run": stage_two.run if stage_two is not None else None,
            "member_count": len(line.members),
            "ended": time_text(line.ended),
            "configuration": json.dumps(line.configuration, sort_keys=True),
            "alerts": "; ".join(line.alerts) or None,
        }
    )


def _of_memory(memory: MemoryUse | None) -> dict[str, Any]:
    if memory is None:
        return {}
    gpu = memory.gpu_peak_bytes
    return {
        "memory_before_mb": memory.before_bytes / MEBIBYTE,
        "memory_after_mb": memory.after_bytes / MEBIBYTE,
        "memory_peak_mb": memory.peak_bytes / MEBIBYTE,
        "gpu_memory_mb": gpu / MEBIBYTE if gpu is not None else None,
    }

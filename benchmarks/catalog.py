"""The catalogue of many runs: made cold, refreshed with nothing new, queried; beside MLflow where it is installed.

python -m benchmarks.catalog [--runs 10000] [--rounds 3]

The archives are synthetic: the records that the catalogue reads, the journal and a seal, as a real run leaves them.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import os
import random
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from archiver import layout
from archiver.archive.run import Run, find_archives
from archiver.catalog import open_store
from archiver.catalog.database import FILE_NAME
from archiver.naming import FOLDER_SUFFIX
from archiver.testing import tiny_run
from benchmarks.common import (
    figure,
    interleaved,
    note_versions,
    print_machine,
    print_note,
    print_table,
    seconds,
    spread,
)

WHERE = "val_accuracy > 0.9 and peak_rss < 4GB"
SHOWN = 50
COLD, REFRESH, QUERY = "index, cold", "refresh, nothing new", f"where {WHERE!r}, sorted, the first {SHOWN}"
VALIDATED = "the same records, by pydantic and in full"
KEPT = (layout.JOURNAL.pattern, layout.MANIFEST_BLAKE3.pattern)


def documents_of(run: Run) -> dict[str, bytes]:
    """The files of a run that are copied, by path."""
    paths = [file.path(run.name) for file in (layout.RUN, layout.RESULTS)]
    return {path: (run.path / path).read_bytes() for path in (*paths, *KEPT)}


def write_archives(store: Path, count: int) -> None:
    """Archives of made up values."""
    with tempfile.TemporaryDirectory() as folder:
        run = tiny_run(Path(folder))
        documents = documents_of(run)
    chance, own = random.Random(0), run.name
    parsed = {path: json.loads(data) for path, data in documents.items() if path.endswith(".json")}
    for number in range(count):
        name = f"run_{number:06}"
        folder_of_run = store / f"{name}_models"
        results, record = parsed[layout.RESULTS.path(own)], parsed[layout.RUN.path(own)]
        record["name"]["name"] = name
        results["final_metrics"]["val_accuracy"] = chance.random()
        results["final_metrics"]["val_loss"] = chance.random()
        results["peaks"]["rss_bytes"] = chance.randrange(8 << 30)
        for file, data in documents.items():
            target = folder_of_run / file.replace(own, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(json.dumps(parsed[file], indent=2).encode() if file in parsed else data)
    # As if they had been there for a while: what is seconds old is read again.
    for path in (*store.glob("*_models"), *store.glob("*_models/journal.jsonl")):
        os.utime(path, (1_700_000_000, 1_700_000_000))


def remove_catalogue(store: Path) -> None:
    for path in store.glob(f"*{FILE_NAME}*"):
        path.unlink()


def cold(store: Path) -> float:
    remove_catalogue(store)
    return seconds(lambda: open_store(store))


def validated(store: Path) -> float:
    """The same records of every run, read by pydantic and checked in full, by one process."""

    def read_all() -> None:
        for run in find_archives(store):
            opened = Run(run, run.name.removesuffix(FOLDER_SUFFIX))
            opened.read(layout.RUN)
            opened.read(layout.RESULTS)

    return seconds(read_all)


def measured_archiver(store: Path, rounds: int) -> list[tuple[str, str]]:
    cold(store)
    opened = open_store(store)
    measures: dict[str, Callable[[], float]] = {
        REFRESH: lambda: seconds(open_store(store, refreshed=False).refresh),
        QUERY: lambda: seconds(
            lambda: opened.runs(WHERE, sort=["-val_accuracy"], columns=["name", "val_accuracy"], limit=SHOWN)
        ),
        "the same, sorted by training_seconds": lambda: seconds(
            lambda: opened.runs(WHERE, sort=["training_seconds"], columns=["name", "val_accuracy"], limit=SHOWN)
        ),
        "the same, all of them": lambda: seconds(lambda: opened.runs(WHERE, sort=["-val_accuracy"])),
    }
    found = interleaved(measures, max(5, rounds))
    found = interleaved({COLD: lambda: cold(store), VALIDATED: lambda: validated(store)}, rounds) | found
    for measure, name in (("catalog_cold", COLD), ("catalog_refresh", REFRESH), ("catalog_query", QUERY)):
        figure(measure, "archiver", [each * 1e3 for each in found[name]], "ms")
    figure("catalog_cold", "pydantic, in full", [each * 1e3 for each in found[VALIDATED]], "ms")
    return [(name, spread([each * 1e3 for each in times], " ms")) for name, times in found.items()]


def fill_mlflow(path: Path, count: int) -> Any:
    """The same runs in MLflow's SQLite store: one is logged by MLflow, the others are written as it wrote that one."""
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{path}")
    experiment = client.create_experiment("runs")
    chance = random.Random(0)
    run = client.create_run(experiment)
    for metric in ("val_accuracy", "val_loss", "accuracy", "loss", "peak_rss"):
        client.log_metric(run.info.run_id, metric, chance.random())
    client.set_terminated(run.info.run_id)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        for table, key in (
            ("runs", "run_uuid"),
            ("latest_metrics", "run_uuid"),
            ("metrics", "run_uuid"),
            ("tags", "run_uuid"),
        ):
            cursor = database.execute(f"SELECT * FROM {table} WHERE {key} = ?", (run.info.run_id,))
            names = [each[0] for each in cursor.description]
            for row in cursor.fetchall():
                place, value = names.index(key), names.index("value") if table.endswith("metrics") else None
                copies = []
                for number in range(1, count):
                    copy = list(row)
                    copy[place] = f"{number:032x}"
                    if value is not None:
                        copy[value] = chance.random()
                    copies.append(copy)
                database.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(names))})", copies)
    return client, experiment


def measured_mlflow(count: int, rounds: int) -> list[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as text:
        client, experiment = fill_mlflow(Path(text) / "mlflow.db", count)

        def search() -> None:
            found = client.search_runs(
                [experiment], "metrics.val_accuracy > 0.9 and metrics.peak_rss < 0.5", max_results=SHOWN,
                order_by=["metrics.val_accuracy DESC"],
            )  # fmt: skip
            assert len(found) == SHOWN

        search()
        note_versions({"mlflow-skinny": importlib.metadata.version("mlflow-skinny")})
        times = [seconds(search) for _ in range(max(5, rounds))]
    figure("catalog_query", "MLflow search_runs", [each * 1e3 for each in times], "ms")
    return [(f"MLflow: search_runs, sorted, the first {SHOWN}", spread([each * 1e3 for each in times], " ms"))]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as text:
        write_archives(Path(text), arguments.runs)
        rows = measured_archiver(Path(text), arguments.rounds)
    if importlib.util.find_spec("mlflow"):
        rows += measured_mlflow(arguments.runs, arguments.rounds)
    else:
        print_note("not installed here, so not measured: mlflow")
    print_table(f"{arguments.runs:,} runs", ("what", "time"), rows)


if __name__ == "__main__":
    main()

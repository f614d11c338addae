"""Every column of the catalogue has what stands at its place in the records."""

import json
from functools import reduce
from pathlib import Path
from typing import Any

from archiver import layout
from archiver.catalog.reading import NAMES, read_row
from archiver.testing import tiny_run

PLACES: dict[str, tuple[Any, str, Any]] = {
    "condition": (layout.RUN, "name/condition", "lesion"),
    "architecture": (layout.RUN, "name/architecture", "cnn"),
    "config": (layout.RUN, "name/config", "small"),
    "version": (layout.RUN, "name/version", 11),
    "created": (layout.RUN, "created", "2031-01-02T03:04:05.000006Z"),
    "archiver_version": (layout.RUN, "archiver_version", "7.8.9"),
    "host": (layout.RUN, "process/host", "node12"),
    "group": (layout.RUN, "group", "sweep"),
    "status": (layout.RESULTS, "status", "interrupted"),
    "stop_reason": (layout.RESULTS, "stop_reason", "memory_limit"),
    "ended": (layout.RESULTS, "ended", "2031-02-03T04:05:06.000007Z"),
    "training_seconds": (layout.RESULTS, "training_seconds", 13.5),
    "phase_count": (layout.RESULTS, "phase_count", 14),
    "epoch_count": (layout.RESULTS, "epoch_count", 15),
    "monitor": (layout.RESULTS, "best_epoch/monitor", "val_auc"),
    "best_epoch": (layout.RESULTS, "best_epoch/epoch", 16),
    "best_value": (layout.RESULTS, "best_epoch/value", 17.5),
    "best_weights_digest": (layout.RESULTS, "best_epoch/weights_digest", "b" * 64),
    "weights_digest": (layout.RESULTS, "weights_digest", "c" * 64),
    "initial_weights_digest": (layout.RESULTS, "initial_weights_digest", "d" * 64),
    "peak_rss_bytes": (layout.RESULTS, "peaks/rss_bytes", 18),
    "peak_gpu_bytes": (layout.RESULTS, "peaks/gpu_bytes", 19),
    "highest_cpu_celsius": (layout.RESULTS, "peaks/cpu_celsius", 20.5),
    "highest_gpu_celsius": (layout.RESULTS, "peaks/gpu_celsius", 21.5),
    "memory_alerts": (layout.RESULTS, "peaks/memory_alert_count", 22),
    "cooling_seconds": (layout.RESULTS, "peaks/cooling_seconds", 23.5),
}
"""Of each column: the record, the place in it, and a value that no other column has."""


def test_every_column_has_what_stands_at_its_place(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, "all")
    documents = {file: json.loads(run.path_of(file).read_text()) for file in (layout.RUN, layout.RESULTS)}
    for file, place, value in PLACES.values():
        *above, last = place.split("/")
        reduce(dict.__getitem__, above, documents[file])[last] = value
    documents[layout.RUN]["command"] = {"target": "train.py", "arguments": ["--rate", "0.1"]}
    documents[layout.RUN]["tags"] = ["first", "second"]
    documents[layout.RESULTS]["exception"] = {"type": "MemoryError", "message": ""}
    documents[layout.RESULTS]["parents"] = [{"run": "one"}, {"run": "another"}]
    for file, document in documents.items():
        run.path_of(file).write_text(json.dumps(document))
    found = dict(zip(NAMES, read_row(run.path)[0], strict=True))
    assert found == {column: value for column, (_, _, value) in PLACES.items()} | {
        "name": "all", "path": None, "is_sealed": True, "command": "train.py --rate 0.1", "tags": "first, second",
        "exception": "MemoryError", "parents": "one, another", "problem": None,
    }  # fmt: skip


def test_a_run_without_records_has_its_name_and_why(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, "bare")
    run.path_of(layout.RUN).unlink()
    found = dict(zip(NAMES, read_row(run.path)[0], strict=True))
    assert (found["name"], found["host"], found["status"]) == ("bare", None, "complete")
    assert found["problem"] == "configs/bare_run.json: missing"


def test_a_folder_that_somebody_has_renamed_has_the_values_of_its_run(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, "digits", tested=True)
    before = read_row(run.path)
    for name in ("best_models", "renamed", "others_models"):
        assert read_row(run.path.rename(tmp_path / name)) == before
        (tmp_path / name).rename(run.path)


def test_a_renamed_run_that_is_not_sealed_is_read_too(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, "digits", sealed=False, status="failed")
    before = dict(zip(NAMES, read_row(run.path)[0], strict=True))
    after = dict(zip(NAMES, read_row(run.path.rename(tmp_path / "kept"))[0], strict=True))
    assert after == before
    assert (after["name"], after["is_sealed"], after["problem"]) == ("digits", False, None)

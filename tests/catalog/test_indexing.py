"""The catalogue is what the archives say, whatever happens to it and to them."""

import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from archiver import layout, open_store
from archiver.archive.run import Run
from archiver.catalog import parallel
from archiver.catalog.database import FILE_NAME, SCHEMA_VERSION
from archiver.catalog.reading import read_row
from archiver.errors import ArgumentError, StorageError
from archiver.testing import add_phase, tiny_run
from tests.catalog.conftest import change
from tests.clusters import dask_cluster

ALL = ["below", "run_0", "run_1", "run_2", "run_3", "unsealed"]


def names_in(store: Path) -> list[str]:
    return sorted(row["name"] for row in open_store(store).runs())


def settle(store: Path) -> None:
    """As if nothing had changed for a while."""
    for path in [*store.rglob("*_models"), *store.rglob("journal.jsonl")]:
        os.utime(path, (1_700_000_000, 1_700_000_000))


def test_rows_are_what_the_archives_say(store: Path) -> None:
    rows = {row["name"]: row for row in open_store(store).to_dataframe().to_dict("records")}
    assert sorted(rows) == ALL
    run = Run.open(store / "run_0_models")
    results, record = run.read(layout.RESULTS), run.read(layout.RUN)
    row = rows["run_0"]
    assert (row["status"], row["is_sealed"], row["epoch_count"]) == ("complete", True, results.epoch_count)
    assert row["peak_rss_bytes"] == 1 << 30
    assert row["score"] == 0
    assert results.test is not None
    for name, value in results.test.metrics.items():  # type: ignore[union-attr]
        assert row[f"test_{name}"] == value
    assert row["created"].to_pydatetime() == record.created
    assert row["host"] == record.process.host
    assert row["weights_digest"] == results.weights_digest
    assert (rows["below"]["path"], rows["below"]["status"]) == ("nested/deeper/below_models", "failed")
    assert rows["below"]["exception"] == "ValueError"
    assert (rows["unsealed"]["is_sealed"], rows["unsealed"]["epoch_count"]) == (False, 2)


def test_a_refresh_reads_what_changed_only(store: Path) -> None:
    opened = open_store(store)
    settle(store)
    assert opened.refresh().read_count == 6
    assert opened.refresh().read_count == 0
    shutil.rmtree(store / "run_1_models")
    add_phase(Run.open(store / "run_2_models"), epochs=3)
    tiny_run(store, "later")
    result = opened.refresh()
    assert (result.run_count, result.read_count, result.dropped_count) == (6, 2, 1)
    found = {row["name"]: row for row in opened.runs(columns=["name", "phase_count"])}
    assert sorted(found) == ["below", "later", "run_0", "run_2", "run_3", "unsealed"]
    assert found["run_2"]["phase_count"] == 2
    assert opened.refresh(everything=True).read_count == 6


def test_a_metric_of_a_run_that_is_gone_is_gone(store: Path) -> None:
    opened = open_store(store)
    change(Run.open(store / "run_1_models"), layout.RESULTS, final_metrics={"other": 2.0})
    opened.refresh(everything=True)
    assert "other" in opened.metric_names()
    shutil.rmtree(store / "run_1_models")
    opened.refresh()
    assert "other" not in opened.metric_names()


def test_a_live_run_is_read_each_time(store: Path) -> None:
    run = tiny_run(store, "live", sealed=False, status="running")
    opened = open_store(store)
    before = opened.runs('name = "live"', columns=["status", "epoch_count"])
    add_phase(run, epochs=1, sealed=False, status="interrupted")
    opened.refresh()
    assert before[0]["epoch_count"] == 2
    assert opened.runs('name = "live"', columns=["epoch_count"])[0]["epoch_count"] == 3


@pytest.mark.parametrize("damage", ["old", "foreign", "garbage", "columns", "empty"])
def test_a_database_that_is_not_ours_is_made_anew(damage: str, store: Path) -> None:
    open_store(store).close()
    path = store / FILE_NAME
    assert not list(store.glob(f"{FILE_NAME}-*"))
    if damage == "garbage":
        path.write_bytes(os.urandom(20_000))
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.unlink() if damage == "foreign" else None
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute({
                "old": f"PRAGMA user_version = {SCHEMA_VERSION - 1}", "foreign": "CREATE TABLE runs (name TEXT)",
                "columns": "ALTER TABLE runs DROP COLUMN peak_rss_bytes",
            }[damage])  # fmt: skip
        database.close()
    opened = open_store(store)
    assert sorted(row["name"] for row in opened.runs("peak_rss > 0 or peak_rss is null")) == ALL


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write everywhere")
def test_a_store_that_cannot_be_written_has_its_catalogue_elsewhere(store: Path, tmp_path: Path) -> None:
    script = "import sys, archiver; opened = archiver.open_store(sys.argv[1])\n"
    script += "print(opened.catalogue_path, len(opened.runs()), opened.refresh().read_count)"
    for path in [tmp_path, *tmp_path.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    cache = tmp_path / "cache"
    tmp_path.chmod(0o755)
    cache.mkdir(mode=0o777)
    cache.chmod(0o777)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    settle(store) if os.geteuid() == 0 else None
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    if subprocess.run([*nobody, sys.executable, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip("another user cannot run this Python")
    command = [*nobody, sys.executable, "-B", "-c", script, str(store)]
    environment = os.environ | {"XDG_CACHE_HOME": str(cache), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    for path in [store, *store.rglob("*")]:
        path.chmod(0o755)
    assert ended.returncode == 0, ended.stderr
    where, count, _ = ended.stdout.split()
    assert Path(where).is_relative_to(cache)
    assert count == "6"
    assert not (store / FILE_NAME).exists()


def _index(store: Path) -> None:
    open_store(store)


def test_two_indexers_at_once(store: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_index, args=(store,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert names_in(store) == ALL


def test_an_indexer_that_is_killed(store: Path) -> None:
    script = "import archiver\nprint(flush=True)\n"
    script += f"while True: archiver.open_store({str(store)!r}).refresh(everything=True)"
    for delay in (0.02, 0.05, 0.11):
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert names_in(store) == ALL


def test_archives_that_vanish_or_are_broken(store: Path) -> None:
    (store / "run_0_models" / "configs" / "run_0_run.json").write_text("{")
    (store / "run_1_models" / "results" / "run_1_results.json").write_bytes(b"[" * 100_000)
    (store / "run_2_models" / "results" / "run_2_results.json").unlink()
    change(Run.open(store / "run_3_models"), layout.RESULTS, format_version=99)
    (store / "gone_models").symlink_to(store / "run_0_models")
    (store / "empty_models").mkdir()
    opened = open_store(store)
    rows = {row["name"]: row for row in opened.runs(columns=["name", "status", "problem"])}
    assert sorted(rows) == ALL
    assert "run_0_run.json" in rows["run_0"]["problem"]
    assert "run_1_results.json" in rows["run_1"]["problem"]
    assert "format version 99" in rows["run_3"]["problem"]


def test_a_journal_that_makes_no_sense(store: Path) -> None:
    (store / "unsealed_models" / "journal.jsonl").write_text(json.dumps({"event": "x"}) + "\n")
    (row,) = open_store(store).runs('name = "unsealed"', columns=["status", "problem"])
    assert row["status"] is not None


def test_hostile_values_are_kept_as_text(store: Path) -> None:
    run = Run.open(store / "run_0_models")
    hostile = "'); DROP TABLE runs; --"
    change(run, layout.RESULTS, final_metrics={hostile: 1.0, "x" * 5000: 2.0}, epoch_count=10**30)
    change(run, layout.RUN, tags=["<script>", "\x1b[31m"], group=hostile, created="soon")
    opened = open_store(store)
    (row,) = opened.runs(f"`{hostile}` = 1", columns=["group", "tags", "epoch_count", hostile])
    assert row == {"group": hostile, "tags": "<script>, \x1b[31m", "epoch_count": None, hostile: 1.0}
    assert len(names_in(store)) == 6
    assert opened.to_dataframe()["created"].isna().sum() == 1


def test_a_folder_whose_name_is_no_unicode(store: Path) -> None:
    odd = os.fsdecode(b"caf\xe9_models")
    (store / "run_0_models").rename(store / odd)
    opened = open_store(store)
    assert opened.runs('name = "run_0"', columns=["path", "problem"]) == [{"path": "caf\\xe9_models", "problem": None}]
    settle(store)
    opened.refresh()
    assert opened.refresh().read_count == 0


def test_a_database_that_is_spoilt_meanwhile_is_told(store: Path) -> None:
    opened = open_store(store)
    with contextlib.closing(sqlite3.connect(store / FILE_NAME)) as database:
        database.executescript("DROP TABLE metrics; DROP TABLE runs")
    with pytest.raises(StorageError, match="cannot use the catalogue"):
        opened.refresh()


def test_nothing_else_is_left_in_the_store(store: Path) -> None:
    before = {path.name for path in store.iterdir()}
    open_store(store).close()
    assert {path.name for path in store.iterdir()} - before == {FILE_NAME}


def test_there_is_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="Expected a folder"):
        open_store(tmp_path / "nowhere")


def test_a_catalogue_that_is_a_folder(store: Path) -> None:
    (store / FILE_NAME).mkdir()
    with pytest.raises(StorageError, match=FILE_NAME.replace(".", r"\.")):
        open_store(store)


def test_an_empty_store(tmp_path: Path) -> None:
    opened = open_store(tmp_path)
    assert opened.runs() == []
    assert opened.metric_names() == []
    assert opened.to_dataframe().empty


def test_relatives_are_found_by_their_weights(tmp_path):
    for name in ("parent", "best_child", "child", "stranger", "untrained"):
        tiny_run(tmp_path, name)
    runs = {path.name.removesuffix("_models"): Run.open(path) for path in tmp_path.glob("*_models")}
    final, best, other = "a" * 64, "b" * 64, "c" * 64
    best_epoch = json.loads(runs["parent"].path_of(layout.RESULTS).read_text())["best_epoch"]
    change(runs["parent"], layout.RESULTS, weights_digest=final, best_epoch=best_epoch | {"weights_digest": best})
    change(runs["child"], layout.RESULTS, initial_weights_digest=final, weights_digest=other)
    change(runs["best_child"], layout.RESULTS, initial_weights_digest=best, weights_digest="d" * 64)
    change(runs["untrained"], layout.RESULTS, initial_weights_digest=final, weights_digest=final)
    opened = open_store(tmp_path)

    def names(path, which):
        return [run["name"] for run in opened.relatives(path)[which]]

    assert names("parent_models", "children") == ["best_child", "child"]
    assert names("child_models", "parents") == ["parent", "untrained"]
    assert names("best_child_models", "parents") == ["parent"]
    assert names("stranger_models", "children") == []
    assert opened.relatives("nobody_models") == {"parents": [], "children": []}


def test_many_are_read_by_several_processes_and_a_killed_one_is_made_up_for(store, monkeypatch):
    alone = open_store(store).to_dataframe(sort=["path"])
    monkeypatch.setattr(parallel, "MINIMAL_RUNS", 2)
    monkeypatch.setattr(parallel, "RUNS_AT_ONCE", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2})
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    opened = open_store(store, refreshed=False)
    for pipe_bytes in (parallel.PIPE_BYTES, 1 << 40):  # the second is refused
        monkeypatch.setattr(parallel, "PIPE_BYTES", pipe_bytes)
        assert opened.refresh(everything=True).read_count == len(alone)
        pd.testing.assert_frame_equal(opened.to_dataframe(sort=["path"]), alone)

    def dies(folder):
        if os.getpid() != own:
            os.kill(os.getpid(), signal.SIGKILL)
        return read_row(folder)

    own = os.getpid()
    monkeypatch.setattr(parallel, "read_row", dies)
    assert opened.refresh(everything=True).read_count == len(alone)
    pd.testing.assert_frame_equal(opened.to_dataframe(sort=["path"]), alone)
    assert psutil.STATUS_ZOMBIE not in [child.status() for child in psutil.Process().children()]


def test_a_cluster_reads_the_same_rows(store: Path) -> None:
    alone = open_store(store).to_dataframe(sort=["path"])
    with dask_cluster() as address:
        main_index = [sys.executable, "-m", "archiver", "index", "--all", "--cluster", address, str(store)]
        shown = subprocess.run(main_index, capture_output=True, text=True, check=True).stdout
    assert f"{len(alone)} runs in" in shown
    assert f"{len(alone)} read" in shown
    pd.testing.assert_frame_equal(open_store(store, refreshed=False).to_dataframe(sort=["path"]), alone)

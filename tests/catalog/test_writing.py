"""The first rows of a catalogue are written without indexes: nothing of that shows, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from archiver import open_store
from archiver.catalog import writing
from archiver.catalog.database import FILE_NAME, METRICS, RUNS
from archiver.testing import tiny_run
from tests.catalog.test_indexing import ALL, names_in, settle

BIT_BY_BIT = "import sys, archiver\nfrom archiver.catalog import writing\nwriting.ROWS_AT_ONCE = 2\n"


def index_names(store: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(store / FILE_NAME)) as database:
        found = database.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall()
    return {name for (name,) in found}


@pytest.mark.parametrize("rows_at_once", [1, 2, 5])
def test_a_cold_catalogue_is_the_same_however_it_is_written(
    store: Path, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    settle(store)
    expected = open_store(store).to_dataframe(sort=["path"])
    indexes = index_names(store)
    assert {index.name for index in (*RUNS.indexes, *METRICS.indexes)} <= indexes
    (store / FILE_NAME).unlink()
    monkeypatch.setattr(writing, "ROWS_AT_ONCE", rows_at_once)
    opened = open_store(store, refreshed=False)
    assert opened.refresh().read_count == len(ALL)
    pd.testing.assert_frame_equal(opened.to_dataframe(sort=["path"]), expected)
    assert index_names(store) == indexes
    tiny_run(store, "one_more")
    assert opened.refresh().read_count == 1
    assert names_in(store) == sorted([*ALL, "one_more"])


def test_another_process_that_was_first_is_seen(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(store)
    monkeypatch.setattr(writing, "ROWS_AT_ONCE", 2)
    opened = open_store(store, refreshed=False)
    scanned = writing.Writing.add

    def overtaken(self: writing.Writing, *row: object) -> None:
        if self.row_count == 0:
            subprocess.run([sys.executable, "-c", f"{BIT_BY_BIT}archiver.open_store(sys.argv[1])", store], check=True)
        scanned(self, *row)  # type: ignore[arg-type]

    monkeypatch.setattr(writing.Writing, "add", overtaken)
    opened.refresh()
    assert [row["name"] for row in opened.runs(sort=["name"])] == ALL
    assert {index.name for index in RUNS.indexes} <= index_names(store)


def test_one_that_is_killed_before_it_made_the_indexes_leaves_that_to_the_next(store: Path) -> None:
    settle(store)
    dies = "import os\nwriting._make_indexes = lambda connection: os.kill(os.getpid(), 9)\n"
    script = f"{BIT_BY_BIT}{dies}archiver.open_store(sys.argv[1])"
    assert subprocess.run([sys.executable, "-c", script, store], check=False).returncode == -signal.SIGKILL
    expected = {str(index.name) for index in (*RUNS.indexes, *METRICS.indexes)}
    assert not expected <= index_names(store)
    tiny_run(store, "one_more")
    assert names_in(store) == sorted([*ALL, "one_more"])
    assert expected <= index_names(store)

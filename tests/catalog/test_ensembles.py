"""The rows of ensembles: from their journals, as they are now, with gaps where memory was not measured."""

import contextlib
import json
import os
import shutil
import sqlite3

import pytest
from click.testing import CliRunner

from archiver.catalog import open_store
from archiver.catalog.columns import ENSEMBLE_COLUMNS
from archiver.catalog.database import FILE_NAME
from archiver.cli.list import command
from archiver.ensemble.journal import JOURNAL_NAME, read_ensemble
from archiver.errors import ArgumentError
from archiver.testing import tiny_ensemble, tiny_run


@pytest.fixture
def store(tmp_path):
    tiny_ensemble(tmp_path, "measured")
    tiny_ensemble(tmp_path, "older", iterations=4, with_memory=False)
    (tmp_path / "nested").mkdir()
    tiny_ensemble(tmp_path / "nested", "unfinished", iterations=2, complete=False)
    tiny_run(tmp_path, "run")
    return tmp_path


def test_every_iteration_is_a_row_with_what_its_line_says(store):
    opened = open_store(store)
    assert [each["path"] for each in opened.ensembles()] == [
        "measured_ensemble", "nested/unfinished_ensemble", "older_ensemble",
    ]  # fmt: skip
    assert [each["is_complete"] for each in opened.ensembles()] == [True, False, True]
    names = [column.name for column in ENSEMBLE_COLUMNS]
    rows = opened.ensemble_log('ensemble = "measured"', columns=names)
    lines = read_ensemble(store / "measured_ensemble").iterations
    assert len(rows) == len(lines) == 9
    for row, line in zip(rows, lines, strict=True):
        assert row["training_memory_mb"] == line.training_memory_mb == 8 * (line.iteration + 1)
        assert row["memory_before_mb"] == 200
        assert row["memory_peak_mb"] == 200 + line.training_memory_mb
        assert row["stage2_memory_mb"] == line.stage2_memory_mb
        assert row["accepted"] is line.accepted
        assert (row["candidate"], row["score"]) == (line.candidate, line.score)
        assert json.loads(row["configuration"]) == line.configuration
        assert row["predicted_memory_mb"] == (line.prediction.memory_mb if line.prediction else None)
    assert len(opened.runs()) == 1


def test_ensembles_without_memory_show_with_gaps(store):
    rows = open_store(store).ensemble_log('ensemble = "older"')
    assert [row["training_memory_mb"] for row in rows] == [None] * 4
    assert [row["stage2_memory_mb"] for row in rows] == [None] * 4
    assert [row["iteration"] for row in rows] == [0, 1, 2, 3]


def test_lines_that_do_not_know_of_memory_at_all(tmp_path):
    folder = tiny_ensemble(tmp_path, with_memory=False)
    lines = [json.loads(line) for line in (folder / JOURNAL_NAME).read_text().splitlines()]
    for line in lines:
        for name in ("memory", "training_memory_mb", "stage2_memory_mb", "stage2", "prediction", "alerts"):
            line.pop(name, None)
    (folder / JOURNAL_NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = open_store(tmp_path).ensemble_log()
    assert len(rows) == 9
    assert {row["training_memory_mb"] for row in rows} == {None}


def test_conditions_units_and_order(store):
    opened = open_store(store)
    found = opened.ensemble_log("accepted = true and training_memory > 20MiB", sort=["-training_memory_mb"])
    assert [row["iteration"] for row in found] == [8, 6, 4, 2]
    assert len(opened.ensemble_log("stage2_memory_mb is null")) == 4 + 4 + 1
    assert [row["candidate"] for row in opened.ensemble_log("error is not null")] == []
    with pytest.raises(ArgumentError, match="Did you mean training_memory"):
        opened.ensemble_log("training_memry > 3")
    with pytest.raises(ArgumentError, match="not in seconds"):
        opened.ensemble_log("training_memory > 3 s")


def test_the_journal_is_the_truth(store):
    opened = open_store(store)
    tiny_ensemble(store, "measured", iterations=3)
    shutil.rmtree(store / "older_ensemble")
    (store / "nested" / "unfinished_ensemble" / JOURNAL_NAME).write_text("{}\n")
    opened.refresh()
    assert len(opened.ensemble_log('ensemble = "measured"')) == 3
    assert opened.ensemble_log('ensemble = "older"') == []
    broken = next(each for each in opened.ensembles() if each["name"] == "unfinished")
    assert "line 1" in broken["problem"]
    opened.close()
    (store / FILE_NAME).unlink()
    assert len(open_store(store).ensemble_log('ensemble = "measured"')) == 3


def test_unchanged_ensembles_are_not_read_again(store, monkeypatch):
    for path in store.rglob(JOURNAL_NAME):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    opened = open_store(store)
    opened.refresh()
    monkeypatch.setattr("archiver.catalog.ensembles.read_ensemble", lambda folder: pytest.fail(str(folder)))
    opened.refresh()


@pytest.mark.parametrize("version", [1, 2])
def test_a_database_without_the_memory_columns_is_built_anew(store, version):
    opened = open_store(store)
    opened.close()
    with contextlib.closing(sqlite3.connect(store / FILE_NAME)) as old, old:
        for column in ("training_memory_mb", "stage2_memory_mb"):
            old.execute(f"ALTER TABLE ensemble_log DROP COLUMN {column}")
        old.execute(f"PRAGMA user_version = {version}")
    old.close()
    rows = open_store(store).ensemble_log('ensemble = "measured"')
    assert [row["training_memory_mb"] for row in rows] == [8.0 * (number + 1) for number in range(9)]


def test_on_the_command_line(store):
    def called(*arguments):
        done = CliRunner().invoke(command, [str(store), "--ensembles", *arguments])
        assert done.exit_code == 0, done.output
        return done.output

    assert called().splitlines()[0].split()[:3] == ["ensemble", "iteration", "candidate"]
    assert len(called().splitlines()) == 1 + 9 + 4 + 2
    rows = json.loads(called("--where", "training_memory > 60MB", "--columns", "candidate", "--format", "json"))
    assert rows == [{"candidate": "candidate-7"}, {"candidate": "candidate-8"}]
    assert "training_memory_mb" in called("--names")

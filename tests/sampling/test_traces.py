"""Traces: files that grow, are thinned, survive a kill, and tell parts apart."""

from __future__ import annotations

import csv
import os
import subprocess
import sys

import numpy as np
import pytest

from archiver.errors import ArgumentError, RecordError, StorageError
from archiver.sampling.columns import Column
from archiver.sampling.traces import MAXIMAL_ROWS, TraceFile
from tests.property.campaigns import campaign

COLUMNS = (Column("a_bytes", "memory", "a", is_key=True), Column("b_percent", "memory", "b"))


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_cells(tmp_path):
    trace = TraceFile(tmp_path / "t.csv", COLUMNS, part=3)
    trace.append(0.0, (1 << 45, None))
    trace.append(1.23456, (np.int64(7), 12.3456))
    trace.append(2.0, (0, float("nan")))
    trace.close()
    assert (tmp_path / "t.csv").read_bytes() == (
        b"elapsed_seconds,part,a_bytes,b_percent\n0.000,3,35184372088832,\n1.235,3,7.0,12.346\n2.000,3,0,nan\n"
    )
    trace.append(3.0, (1, 1.0))
    assert trace.row_count == 3, "a closed trace takes no more rows"


def test_another_part_measures_other_things(tmp_path):
    first = TraceFile(tmp_path / "t.csv", COLUMNS, part=0)
    first.append(0.0, (1, 2.0))
    first.close()
    other = (Column("b_percent", "memory", "b"), Column("c_watts", "memory", "c"))
    second = TraceFile(tmp_path / "t.csv", other, part=1)
    second.append(0.0, (3.0, 4.0))
    second.close()
    assert rows(tmp_path / "t.csv") == [
        {"elapsed_seconds": "0.000", "part": "0", "a_bytes": "1", "b_percent": "2.0", "c_watts": ""},
        {"elapsed_seconds": "0.000", "part": "1", "a_bytes": "", "b_percent": "3.0", "c_watts": "4.0"},
    ]
    assert second.row_count == 2


def test_a_line_that_was_cut_short_is_removed(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"elapsed_seconds,part,a_bytes,b_percent\n0.000,0,1,2.0\n1.000,0,1")
    trace = TraceFile(path, COLUMNS, part=1)
    trace.append(0.0, (5, 6.0))
    trace.close()
    assert [row["part"] for row in rows(path)] == ["0", "1"]


def test_a_file_that_is_no_trace(tmp_path):
    (tmp_path / "t.csv").write_text("name,age\nAda,36\n")
    with pytest.raises(RecordError, match="expected elapsed_seconds,part"):
        TraceFile(tmp_path / "t.csv", COLUMNS, part=0)
    assert (tmp_path / "t.csv").read_text() == "name,age\nAda,36\n"


def test_it_never_has_more_rows_than_allowed_and_keeps_every_extreme(tmp_path):
    rng = np.random.default_rng(1)
    values = rng.integers(0, 1 << 30, 3000)
    longest = 0
    for part in (0, 1):
        trace = TraceFile(tmp_path / "t.csv", COLUMNS, part, maximal_rows=200)
        for number, value in enumerate(values[part::2]):
            trace.append(float(number), (int(value), None))
            longest = max(longest, trace.row_count)
        trace.close()
        assert trace.is_thinned
    kept = rows(tmp_path / "t.csv")
    assert longest <= 200
    assert len(kept) == trace.row_count >= 80
    found = [int(row["a_bytes"]) for row in kept]
    assert (min(found), max(found)) == (values.min(), values.max())
    order = [(int(row["part"]), float(row["elapsed_seconds"])) for row in kept]
    assert order == sorted(order)
    assert {int(value) for value in found} <= set(values.tolist()), "rows are kept as they were measured"


@pytest.mark.stress
def test_the_file_of_a_long_run_stays_small(tmp_path):
    """With 40 columns: three hours at 1 Hz, two days under `make stress`."""
    columns = tuple(Column(f"c{number}_bytes", "memory", "c", is_key=number % 5 == 0) for number in range(40))
    hours, limit = campaign(3, 48), campaign(1000, MAXIMAL_ROWS)
    trace = TraceFile(tmp_path / "t.csv", columns, part=0, maximal_rows=limit)
    rng = np.random.default_rng(0)
    largest = 0
    for hour in range(hours):
        for second, cells in enumerate(rng.integers(0, 1 << 36, (3600, 40)).tolist()):
            trace.append(hour * 3600.0 + second, cells)
        largest = max(largest, trace.path.stat().st_size)
    trace.close()
    assert trace.is_thinned
    assert trace.lost_row_count == 0
    assert largest < limit * 40 * 13
    assert limit / 4 < trace.row_count < limit


def test_too_few_rows_for_the_columns(tmp_path):
    with pytest.raises(ArgumentError, match=r"Received maximal_rows=10\. Expected at least"):
        TraceFile(tmp_path / "t.csv", COLUMNS, part=0, maximal_rows=10)


def test_a_folder_that_is_not_there(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        TraceFile(tmp_path / "file" / "t.csv", COLUMNS, part=0)


FULL = """
import resource, sys
from pathlib import Path
from archiver.sampling.columns import Column
from archiver.sampling.traces import TraceFile
trace = TraceFile(Path(sys.argv[1]), (Column("a_bytes", "memory", "a"),), part=0)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
for number in range(20):
    trace.append(float(number), (10**10,))
print(trace.row_count, trace.lost_row_count, trace.trouble)
"""


def test_a_full_disk_loses_rows_but_no_line_is_cut(tmp_path):
    path = tmp_path / "t.csv"
    output = subprocess.run([sys.executable, "-c", FULL, path], check=True, capture_output=True, text=True).stdout
    kept, lost, *_ = output.split()
    assert int(kept) + int(lost) == 20
    assert 0 < int(kept) == len(rows(path)) < 20
    assert path.read_bytes().endswith(b"10000000000\n")


def test_a_forked_child_writes_nothing(tmp_path):
    trace = TraceFile(tmp_path / "t.csv", COLUMNS, part=0)
    child = os.fork()
    if child == 0:
        trace.append(0.0, (1, 2.0))
        os._exit(0)
    os.waitpid(child, 0)
    trace.append(1.0, (3, 4.0))
    trace.close()
    assert [row["a_bytes"] for row in rows(tmp_path / "t.csv")] == ["3"]

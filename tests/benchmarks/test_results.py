"""RESULTS.md is made of what benchmarks left: medians, verdicts, and a date for each figure."""

from __future__ import annotations

import json
import re

import pytest

from benchmarks import common, results
from benchmarks.rows import OWN, ROWS, Row
from tests.training.scripts import REPOSITORY

MACHINE = {"processor": "P", "cores": "2", "memory": "24 GiB", "kernel": "Linux 6", "python": "3.11.7"}
TIMES = Row("time", "time", 3, "peers", "1 us")
SPEED = Row("speed", "speed", 5, "verify", reason="it starts Python", at_least=True)


def result(benchmark="peers", date="2026-11-29", records=(), exit_code=0, **more):
    return {
        "benchmark": benchmark, "command": f"python -m benchmarks.{benchmark}", "began_utc": f"{date}T01:02:03+00:00",
        "seconds": 12.3, "exit_code": exit_code, "machine": MACHINE, "versions": {}, "records": list(records), **more,
    }  # fmt: skip


def figure(measure, who, *values, unit="us"):
    return {"kind": "figure", "measure": measure, "who": who, "values": list(values), "unit": unit}


def cells(row, *records, **more):
    return results.row_cells(row, results.figures_of([result(records=records, **more)]).get(row.measure, {}))


def test_a_bound_that_is_kept_and_the_best_of_the_others():
    found = cells(TIMES, figure("time", OWN, 9, 1, 3), figure("time", "A", 7), figure("time", "B", 5))
    assert found == (
        "time",
        "at most 3 us",
        "3 us",
        "5 us (B)",
        "1 us",
        "yes",
        "`python -m benchmarks.peers`, 2026-11-29",
    )


def test_a_bound_from_below_that_is_missed_has_its_reason():
    found = cells(
        SPEED, figure("speed", OWN, 4.9, unit="x"), figure("speed", "A", 0.5, unit="x"), figure("speed", "B", 2)
    )
    assert found[1:4] == ("at least 5 x", "4.9 x", "2 us (B)")
    assert found[5] == "**no**: it starts Python"


def test_a_miss_without_a_reason_says_so():
    assert cells(TIMES, figure("time", OWN, 3.1))[5] == "**no**: not explained"


def test_what_was_not_measured():
    assert cells(TIMES)[1:6] == ("at most 3", "", "", "1 us", "not measured")
    assert cells(TIMES, figure("time", "A", 7))[1:6] == ("at most 3 us", "", "7 us (A)", "1 us", "not measured")


def test_each_figure_keeps_the_date_of_its_run():
    text = results.report([
        result("peers", "2026-11-01", [figure("step_hook", OWN, 2)]),
        result("verify", "2026-11-29", [figure("verify_blake3", OWN, 6, unit="x")]),
    ])  # fmt: skip
    assert re.search(r"^\| hook of a step.*2 us.*yes.*2026-11-01 \|$", text, re.MULTILINE)
    assert re.search(r"^\| verify 1.8 GB.*6 x.*yes.*2026-11-29 \|$", text, re.MULTILINE)
    assert text.count("not measured") == len(ROWS) - 2


def test_a_section_has_all_that_was_printed():
    table = {"kind": "table", "title": "T", "columns": ["a", "b"], "rows": [["x|y", "1\n2"], ["<b>", ""]]}
    text = results.section(result(records=[table, {"kind": "note", "text": "said"}], exit_code=3))
    assert "| a | b |\n| --- | --- |\n| x\\|y | 1 2 |\n| &lt;b> |  |\n" in text
    assert "\nsaid\n" in text
    assert "**It failed**, with exit code 3" in text


def test_several_machines_are_told_apart():
    one, other = result("peers"), result("verify", machine=MACHINE | {"cores": "16"})
    assert results.machines([one]) == "Machine: P, 2 cores, 24 GiB, Linux 6, Python 3.11.7.\n"
    assert results.machines([one, other]).splitlines() == [
        "- P, 2 cores, 24 GiB, Linux 6, Python 3.11.7: peers", "- P, 16 cores, 24 GiB, Linux 6, Python 3.11.7: verify",
    ]  # fmt: skip


def test_versions_of_all():
    text = results.versions([result(versions={"wandb": "1"}), result(versions={"bagit": "2"})])
    assert text == "Versions: bagit 2, wandb 1.\n"


def test_a_benchmark_hands_over_what_it_prints(tmp_path, monkeypatch, capsys):
    path = tmp_path / "record"
    monkeypatch.setenv("BENCHMARK_RECORD", str(path))
    common.print_table("T", ("a",), [("1",)])
    common.figure("time", OWN, [1, 2], "us")
    common.figure("time", "A", 3, "us")
    common.note_versions({"A": "1"})
    common.print_note("said")
    assert "said" in capsys.readouterr().out
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"kind": "table", "title": "T", "columns": ["a"], "rows": [["1"]]},
        {"kind": "figure", "measure": "time", "who": OWN, "values": [1.0, 2.0], "unit": "us"},
        {"kind": "figure", "measure": "time", "who": "A", "values": [3.0], "unit": "us"},
        {"kind": "versions", "versions": {"A": "1"}},
        {"kind": "note", "text": "said"},
    ]


def test_nothing_is_written_where_nobody_asks(tmp_path, monkeypatch):
    monkeypatch.delenv("BENCHMARK_RECORD", raising=False)
    monkeypatch.chdir(tmp_path)
    common.figure("time", OWN, 1, "us")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "text"),
    [((2.0,), "2 us"), ((1, 2, 30), "2 us (1 to 30)"), ((1234.5,), "1,234 us"), ((999.7,), "1,000 us"),
     ((0.00012345,), "0.000123 us")],
)  # fmt: skip
def test_spread(values, text):
    assert common.spread(values, " us") == text


def test_every_number_to_beat_is_handed_over_by_its_benchmark():
    """The names under which figures are handed over stand in the source of the benchmark that a row names."""
    for row in ROWS:
        path = REPOSITORY / "benchmarks" / row.benchmark
        source = (path / "__main__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
        assert f'"{row.measure}"' in source, row
        assert row.benchmark in results.BENCHMARKS


def test_every_benchmark_is_run():
    found = {path.stem for path in (REPOSITORY / "benchmarks").glob("*.py")}
    assert found - {"__init__", "common", "results", "rows"} | {"peers"} == set(results.BENCHMARKS)

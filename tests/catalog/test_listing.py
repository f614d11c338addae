"""`archiver list` and `archiver index`, as users call them."""

import csv
import io
import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from archiver.catalog import open_store
from archiver.cli.main import cli

COLUMNS = "name,score,peak_rss"


def called(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(each) for each in arguments])


def listed(store: Path, *arguments: str) -> list[dict[str, object]]:
    result = called("list", store, "--format", "json", *arguments)
    assert result.exit_code == 0, result.output
    found: list[dict[str, object]] = json.loads(result.output)
    return found


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("score > 0.4", {"run_2", "run_3"}),
        ("score >= 50% and peak_rss < 4GB", {"run_2"}),
        ("peak_rss_bytes = 4GiB", {"run_3"}),
        ("training_seconds = 1 min", {"run_0", "run_1", "run_2", "run_3"}),
        ('status != "complete"', {"below"}),
        ("not score > 0.4", {"run_0", "run_1"}),
        ("score is null", {"below", "unsealed"}),
        ('name in ("run_1", "below") and not path contains "NESTED"', {"run_1"}),
        ('name contains "%" or name contains "_"', {"run_0", "run_1", "run_2", "run_3"}),
        ("is_sealed = false", {"unsealed"}),
        ('created > "2020-01-01" and created < "2020-01-02T08:00+01:00"', set()),
        ("score = 0 or score = 0.75", {"run_0", "run_3"}),
    ],
)
def test_where(where: str, names: set[str], made_store: Path) -> None:
    assert {row["name"] for row in listed(made_store, "--where", where)} == names


def test_sorted_with_runs_without_a_value_last(made_store: Path) -> None:
    found = [row["score"] for row in listed(made_store, "--sort", "-score", "--columns", COLUMNS)]
    assert found == [0.75, 0.5, 0.25, 0.0, None, None]
    found = [row["score"] for row in listed(made_store, "--sort", "score", "--columns", COLUMNS)]
    assert found == [0.0, 0.25, 0.5, 0.75, None, None]
    assert len(listed(made_store, "--sort", "-score,name", "--limit", "3")) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--where", "scorre > 1"], "Did you mean score"),
        (["--where", "peak_rss < 3 min"], "is in bytes, not in seconds"),
        (["--where", "name > 3"], "is a text"),
        (["--where", "epoch_count > 'x'"], "is a number"),
        (["--where", "is_sealed = 1"], "is true or false"),
        (["--where", "is_sealed > true"], "Expected = or !="),
        (["--where", "created > 'soon'"], "is a time"),
        (["--where", "epoch_count contains 'x'"], "no text"),
        (["--sort", "nonsense_at_all"], "archiver list --names"),
        (["--columns", "name,pth"], "Did you mean path"),
        (["--format", "parquet"], "--output"),
    ],
)
def test_errors(arguments: list[str], said: str, made_store: Path) -> None:
    result = called("list", made_store, *arguments)
    assert result.exit_code != 0
    assert said in str(result.exception) + result.output


def test_forms(made_store: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    where = ["--where", "score > 0.4", "--columns", COLUMNS, "--sort", "name"]
    expected = [["run_2", "0.5", str(3 << 30)], ["run_3", "0.75", str(4 << 30)]]
    rows = list(csv.reader(io.StringIO(called("list", made_store, *where, "--format", "csv").output)))
    assert rows == [["name", "score", "peak_rss_bytes"], *expected]
    table = called("list", made_store, *where).output.splitlines()
    assert [line.split() for line in table] == [
        rows[0],
        ["run_2", "0.5", "3,072", "MiB"],
        ["run_3", "0.75", "4,096", "MiB"],
    ]
    assert called("list", made_store, *where, "--format", "parquet", "--output", tmp_path / "a.parquet").exit_code == 0
    found = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert [[str(value) for value in row.values()] for row in found] == expected
    assert called("list", made_store, "--where", 'name = "no"').output == "none found\n"


def test_what_is_no_store_is_told_apart(made_store: Path, tmp_path: Path) -> None:
    one, none = called("list", made_store / "run_1_models"), called("list", tmp_path / "nothere")
    assert "an archive. Expected a folder that holds archives" in str(one.exception)
    assert "where there is nothing. Expected a folder that holds archives" in str(none.exception)


def test_what_a_spreadsheet_would_run_and_a_terminal_obey(store: Path) -> None:
    from archiver import layout
    from archiver.archive.run import Run
    from tests.catalog.conftest import change

    change(Run.open(store / "run_0_models"), layout.RUN, tags=["=cmd|' /C calc'!A0"], group="\x1b[31mred")
    arguments = ["list", store, "--where", 'name = "run_0"', "--columns", "tags,group"]
    assert list(csv.reader(io.StringIO(called(*arguments, "--format", "csv").output)))[1][0].startswith("'=")
    change(Run.open(store / "run_0_models"), layout.RESULTS, final_metrics={"\x1b[31m": 1.0})
    called("index", store, "--all")
    arguments[-1] += ",\x1b[31m"
    for form in ("table", "csv", "json"):
        output = called(*arguments, "--format", form).output
        assert "31m" in output
        assert "\x1b" not in output


def test_names(made_store: Path) -> None:
    output = called("list", made_store, "--names").output
    assert "peak_rss_bytes" in output
    assert "score" in output


def test_index(store: Path) -> None:
    first = called("index", store)
    assert first.exit_code == 0
    assert first.output.startswith(f"6 runs in {store / 'catalog.db'}: 6 read, 0 gone")
    (store / "run_0_models" / "configs" / "run_0_run.json").write_text("{")
    said = called("index", store, "--all").output
    assert "1 could not be read whole" in said
    arguments = shlex.split(said.split("see: archiver ")[1])
    assert "run_0_run.json" in called(*arguments).output


@given(where=st.recursive(
    st.builds("{} {} {}".format, st.sampled_from(["score", "cost", "epoch_count"]),
              st.sampled_from([">", "<", ">=", "<=", "=", "!="]), st.sampled_from([0, 0.25, 0.5, 0.75, 1, 2])),
    lambda part: st.one_of(
        st.builds("({} and {})".format, part, part), st.builds("({} or {})".format, part, part),
        st.builds("not {}".format, part)),
    max_leaves=6,
))  # fmt: skip
def test_expressions_mean_what_python_says(where: str, made_store: Path) -> None:
    opened = open_store(made_store, refreshed=False)
    columns = ["name", "score", "cost", "epoch_count"]
    known = [row for row in opened.runs(columns=columns) if None not in row.values()]
    code = where.replace(" = ", " == ")
    expected = {row["name"] for row in known if eval(code, {}, dict(row))}
    found = {row["name"] for row in opened.runs(where, columns=columns) if None not in row.values()}
    assert found == expected

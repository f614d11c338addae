"""The table of runs and the reports as plain files."""

import csv
import json
import re

import pytest
from click.testing import CliRunner
from playwright.sync_api import expect

from archiver.cli.dashboard import command
from archiver.dashboard.static import write_static
from archiver.errors import ArgumentError
from archiver.testing import tiny_run
from tests.dashboard.hostile import SCRIPT


def test_runs_reports_and_ensembles_are_written(store, tmp_path, page):
    out = tmp_path / "public"
    done = CliRunner().invoke(command, [str(store), "--static", str(out)])
    assert done.output == f"{out}/index.html: 5 runs\n"
    rows = json.loads((out / "runs.json").read_text())
    assert {row["name"] for row in rows} == {"first", "first-2", "failed", "cut_off", "hostile"}
    with (out / "ensemble_log.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 9 + 5 + 3
    page.goto((out / "index.html").as_uri())
    table = page.locator("table#runs")
    expect(table.locator("tbody tr")).to_have_count(5)
    page.get_by_label("Show rows with").fill("first")
    expect(table.locator("tbody tr:visible")).to_have_count(2)
    expect(page.get_by_role("status")).to_have_text("2 of 5")
    page.get_by_label("Show rows with").fill("")
    page.get_by_role("button", name="epoch_count").press("Enter")
    counts = table.locator("tbody tr td:nth-child(5)").all_inner_texts()
    numbers = [int(text) for text in counts if text]
    assert numbers == sorted(numbers, reverse=True)
    page.get_by_role("link", name="first-2").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("first-2")
    page.get_by_role("link", name="first", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("first")


def test_what_strangers_write_stays_text(store, tmp_path, page):
    write_static(store, tmp_path / "public")
    report = tmp_path / "public" / "runs" / "hostile_models" / "README.html"
    page.goto(report.as_uri())
    expect(page.locator("main")).to_contain_text(SCRIPT)
    assert page.locator("main script, main img[src^=http], main a[href^=javascript]").count() == 0
    assert SCRIPT not in (tmp_path / "public" / "index.html").read_text()


def test_it_writes_again_into_its_own_folder_and_into_no_other(store, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text("mine")
    with pytest.raises(ArgumentError, match="where other files are"):
        write_static(store, tmp_path / "other")
    assert (tmp_path / "other" / "index.html").read_text() == "mine"
    write_static(store, tmp_path / "own")
    assert write_static(store, tmp_path / "own") == 5
    with pytest.raises(ArgumentError, match="lies in the folder of runs"):
        write_static(store, store / "public")


def test_an_empty_store(tmp_path):
    (tmp_path / "empty").mkdir()
    assert write_static(tmp_path / "empty", tmp_path / "out") == 0
    assert "There are no runs in this folder yet" in (tmp_path / "out" / "index.html").read_text()


def test_arguments_that_cannot_be_served(tmp_path):
    from archiver.dashboard.serving import serve

    tiny_run(tmp_path / "runs")
    with pytest.raises(ArgumentError, match="Expected a folder that holds archives"):
        serve(tmp_path / "nowhere", "127.0.0.1", 0, open_browser=False, tell=print)
    with pytest.raises(ArgumentError, match=re.escape("--host 192.0.2.1 --port 0, where nothing can listen")):
        serve(tmp_path / "runs", "192.0.2.1", 0, open_browser=False, tell=print)

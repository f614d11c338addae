"""Each page in Chromium: what it shows is what the archives and the catalogue say."""

import re
from statistics import fmean
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from archiver.archive.run import Run
from archiver.catalog import open_store
from archiver.dashboard.history import read_metrics
from archiver.testing import tiny_ensemble, tiny_run
from tests.dashboard.conftest import serving
from tests.dashboard.hostile import IMAGE, SCRIPT

CHARTS = """() => Object.fromEntries([...document.querySelectorAll('.js-plotly-plot')].map(each => [
  each.layout.title.text.replace(/<[/]?b>/g, ''),
  {
    data: each.data.map(d => {
      const marker = d.marker || {};
      return {name: d.name, x: d.x, y: d.y, color: marker.color, pattern: (marker.pattern || {}).shape};
    }),
    lines: (each.layout.shapes || []).map(s => s.y0),
  },
]))"""


def visit(page: Page, address: str, path: str = "", *texts: str) -> None:
    page.goto(f"{address}/{path}")
    for text in texts:
        expect(page.get_by_text(text).first).to_be_visible()


def charts(page: Page, *titles: str):
    """The data of the charts, once those of these titles are there."""
    wanted = list(titles)
    page.wait_for_function(
        f"wanted => {{ const found = ({CHARTS})(); return wanted.every(t => t in found); }}", arg=wanted
    )
    return page.evaluate(CHARTS)


def cells(page: Page) -> list[list[str]]:
    """A table as assistive technology reads it, row by row."""
    page.wait_for_selector("table[role=grid] tbody tr", state="attached")
    return page.eval_on_selector_all(
        "table[role=grid] tbody tr", "rows => rows.map(r => [...r.querySelectorAll('td')].map(c => c.textContent))"
    )


def shows(page: Page, *names: str) -> bool:
    """Whether the table comes to have these rows, by their first cells."""
    for _ in range(100):
        if sorted(row[0] for row in cells(page)) == sorted(names):
            return True
        page.wait_for_timeout(100)
    return False


def choose(page: Page, label: str, text: str) -> None:
    box = page.get_by_label(label, exact=True)
    box.fill(text)
    box.press("Enter")


# -- the table of runs


def test_all_runs_are_in_the_table(page, address, store):
    visit(page, address, "", "5 of 5 runs")
    rows = {row[0]: row for row in cells(page)}
    assert set(rows) == {"first", "first-2", "failed", "cut_off", "hostile"}
    known = {row["name"]: row for row in open_store(store).runs(columns=["name", "status", "epoch_count"])}
    for name, row in rows.items():
        assert row[1] == known[name]["status"]
        assert str(known[name]["epoch_count"]) in row


def test_a_filter_leaves_what_fits_and_an_error_points_at_the_word(page, address):
    visit(page, address, "", "5 of 5 runs")
    choose(page, "Filter", 'epoch_count >= 3 and name contains "first"')
    expect(page.get_by_text("2 of 5 runs")).to_be_visible()
    assert shows(page, "first", "first-2")
    choose(page, "Filter", "epochs >= 3")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("no metric of any run")
    expect(alert).to_contain_text("^")
    choose(page, "Filter", 'name = "nobody"')
    expect(page.get_by_text("No run fits the filter")).to_be_visible()
    choose(page, "Filter", "")
    expect(page.get_by_text("5 of 5 runs")).to_be_visible()


def test_the_status_filter(page, address):
    visit(page, address, "", "5 of 5 runs")
    page.get_by_role("combobox", name="Status").click()
    page.get_by_role("option", name="interrupted").click()
    expect(page.get_by_text("1 of 5 runs")).to_be_visible()
    assert shows(page, "cut_off")


def test_by_keyboard_alone_from_the_table_to_a_run(page, address):
    visit(page, address, "", "5 of 5 runs")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").startswith(("keyboard_arrow_right", "Open a run")):
            break
    page.keyboard.press("Enter")
    box = page.get_by_label("Run", exact=True)
    expect(box).to_be_visible()
    box.focus()
    page.keyboard.type("first-2")
    option = page.get_by_role("option", name="first-2")
    for _ in range(100):
        page.keyboard.press("ArrowDown")  # opens the list where a redrawing of the page has closed it
        page.wait_for_timeout(100)
        if option.is_visible():
            break
    expect(option).to_be_visible()
    page.keyboard.press("Enter")
    button = page.get_by_role("button", name="Open this run")
    expect(button).to_be_visible()
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="first-2")).to_be_visible()


# -- one run


def test_the_curves_of_a_run_are_its_history(page, address, store):
    visit(page, address, "run?path=first-2_models", "complete")
    metrics = read_metrics(Run.open(store / "first-2_models"))
    found = charts(page, "loss", "accuracy")
    by_name = {each["name"]: each["y"] for each in found["loss"]["data"]}
    assert by_name == {"training": metrics["loss"], "validation": metrics["val_loss"]}
    assert found["loss"]["data"][0]["x"] == [1, 2, 3, 4, 5]


def test_the_report_files_check_and_relatives_of_a_run(page, address):
    visit(page, address, "run?path=first-2_models", "complete")
    page.get_by_role("tab", name="Report").click()
    report = page.frame_locator("iframe[title='Report of the run']")
    expect(report.get_by_role("heading", level=1)).to_contain_text("first-2")
    expect(report.get_by_role("heading", name="Earlier versions")).to_be_visible()
    page.get_by_role("tab", name="Resources").click()
    assert "Memory" in charts(page, "Memory")
    page.get_by_role("tab", name="Files").click()
    expect(page.get_by_text(re.compile(r"[0-9]+ files, [0-9,]+ bytes"))).to_be_visible()
    page.get_by_role("tab", name="Check").click()
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_text("Whole: every file is as it was sealed.")).to_be_visible()
    page.get_by_role("tab", name="Relatives").click()
    expect(page.get_by_text("other versions")).to_be_visible()


def test_findings_are_shown(page, address):
    visit(page, address, "run?path=hostile_models", "hostile")
    page.get_by_role("tab", name="Check").click()
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_role("alert")).to_contain_text("[changed] README.md")


def test_a_run_that_is_not_there_and_one_outside_the_store(page, address, store, tmp_path):
    tiny_run(tmp_path, "outside")
    for path in ("nobody_models", f"{tmp_path}/outside_models", "../outside_models"):
        visit(page, address, f"run?path={quote(path)}")
        expect(page.get_by_role("alert")).to_contain_text("There is no run")


# -- several runs


def test_runs_are_compared_curve_by_curve_and_value_by_value(page, address, store):
    visit(page, address, "compare?path=first_models&path=first-2_models", "Values side by side")
    found = charts(page, "loss")["loss"]["data"]
    assert [each["name"] for each in found] == [
        "first, training", "first, validation", "first-2, training", "first-2, validation",
    ]  # fmt: skip
    for name, place in (("first", 0), ("first-2", 2)):
        metrics = read_metrics(Run.open(store / f"{name}_models"))
        assert found[place]["y"] == metrics["loss"]
        assert found[place + 1]["y"] == metrics["val_loss"]
    side_by_side = {row[0]: row[1:] for row in cells(page) if len(row) == 3}
    assert side_by_side["epoch_count"] == ["3", "5"]
    expect(page.get_by_text("differences")).to_be_visible()
    expect(page.get_by_role("heading", name="first (A) and first-2 (B): diverged")).to_be_visible()
    page.get_by_text("How far the weights are apart").click()
    expect(page.get_by_text("2 layers differ")).to_be_visible()


def test_comparing_needs_two_runs(page, address):
    visit(page, address, "compare", "Choose at least two runs")


# -- ensembles


def measured(store, ensemble):
    rows = open_store(store).ensemble_log(columns=[
        "path", "iteration", "candidate", "classifier_type", "accepted", "training_memory_mb", "stage2_memory_mb",
        "score_gain", "training_seconds", "predicted_memory_mb",
    ])  # fmt: skip
    return [row for row in rows if row["path"] == f"{ensemble}_ensemble"]


def test_the_memory_tab_has_all_five_parts_with_the_values_of_the_database(page, address, store):
    visit(page, address, "ensembles?path=measured_ensemble", "Average training memory")
    rows = measured(store, "measured")
    training = [row["training_memory_mb"] for row in rows]
    second = {row["iteration"] + 1: row["stage2_memory_mb"] for row in rows if row["stage2_memory_mb"] is not None}
    values = dict(
        zip(
            page.get_by_test_id("stMetricLabel").all_inner_texts(),
            page.get_by_test_id("stMetricValue").all_inner_texts(),
            strict=True,
        )
    )
    assert values["Average training memory"] == f"{fmean(training):,.1f} MB"
    assert values["Peak training memory"] == f"{max(training):,.1f} MB"
    assert values["Average stage-2 memory"] == f"{fmean(second.values()):,.1f} MB"

    found = charts(
        page, "Training memory per iteration", "Training memory by classifier type",
        "Second-stage memory at each retraining", "Memory efficiency",
    )  # fmt: skip
    accepted, rejected = found["Training memory per iteration"]["data"]
    for series, wanted in ((accepted, True), (rejected, False)):
        part = [row for row in rows if row["accepted"] is wanted]
        assert series["x"] == [row["iteration"] + 1 for row in part]
        assert series["y"] == [row["training_memory_mb"] for row in part]
    assert accepted["color"] != rejected["color"]
    assert accepted["pattern"] != rejected["pattern"]
    assert found["Training memory per iteration"]["lines"] == [fmean(training)]

    by_type = {}
    for row in rows:
        by_type.setdefault(row["classifier_type"], []).append(row["training_memory_mb"])
    average, maximum = found["Training memory by classifier type"]["data"]
    labels = {f"{name} (n = {len(each)})": each for name, each in by_type.items()}
    assert dict(zip(average["y"], average["x"], strict=True)) == {label: fmean(each) for label, each in labels.items()}
    assert dict(zip(maximum["y"], maximum["x"], strict=True)) == {label: max(each) for label, each in labels.items()}

    stage = found["Second-stage memory at each retraining"]
    assert dict(zip(stage["data"][0]["x"], stage["data"][0]["y"], strict=True)) == second
    assert stage["lines"] == [min(second.values()), fmean(second.values()), max(second.values())]

    gains = {
        row["iteration"] + 1: row["training_memory_mb"] / (row["score_gain"] / 0.0001)
        for row in rows
        if row["score_gain"]
    }
    bars = found["Memory efficiency"]["data"][0]
    assert dict(zip(bars["x"], bars["y"], strict=True)) == pytest.approx(gains)
    title = next(title for title in charts(page, "Expected and actual memory") if title.startswith("Memory and time"))
    assert "rank correlation 1.00" in title
    expect(page.get_by_text("took 64 MB, more than the 40 MB expected at most")).to_be_visible()


def test_an_ensemble_without_memory_shows_everything_else(page, address):
    visit(page, address, "ensembles?path=older_ensemble", "not measured", "Memory was not measured in this ensemble")
    page.get_by_role("tab", name="Scores").click()
    scores = {each["name"]: each["y"] for each in charts(page, "Scores")["Scores"]["data"]}
    assert len(scores["candidate"]) == 5
    page.get_by_role("tab", name="Candidates").click()
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_what_strangers_write_is_shown_as_text(page, address):
    visit(page, address, "run?path=hostile_models", "hostile")
    page.get_by_role("tab", name="Report").click()
    report = page.frame_locator("iframe[title='Report of the run']")
    expect(report.locator("main")).to_contain_text(SCRIPT)
    expect(report.locator("main")).to_contain_text("onerror=alert")
    assert report.locator("main img[src^=http], main script, main a[href^=javascript]").count() == 0
    visit(page, address, "ensembles?path=strange_ensemble", SCRIPT)
    found = charts(page, "Training memory by classifier type")["Training memory by classifier type"]
    assert "&lt;img" in found["data"][0]["y"][0]
    expect(page.locator(".js-plotly-plot").get_by_text("<img src=http").first).to_be_attached()
    page.get_by_role("tab", name="Candidates").click()
    visit(page, address, "", "5 of 5 runs")
    visit(page, address, "compare?path=hostile_models&path=first_models", "Values side by side")
    page.wait_for_timeout(1500)
    assert IMAGE not in page.content()


# -- stores of other sizes, and one that changes


def test_an_empty_store_says_what_to_do_and_notices_the_first_run(page, tmp_path):
    with serving(tmp_path) as own:
        visit(page, own, "", "There are no runs in this folder yet")
        visit(page, own, "ensembles", "There are no ensembles in this folder yet")
        visit(page, own, "compare", "Choose at least two runs")
        visit(page, own, "run", "There are no runs in this folder yet")
        visit(page, own, "", "There are no runs in this folder yet")
        tiny_run(tmp_path, "newcomer", sealed=False, status="running")
        expect(page.get_by_text("1 of 1 runs")).to_be_visible()
        assert shows(page, "newcomer")
        visit(page, own, "run?path=newcomer_models", "not sealed: the page follows the run")
        assert len(charts(page, "loss")["loss"]["data"][0]["y"]) == 2
        run = Run.open(tmp_path / "newcomer_models")
        metrics = {"loss": 0.5, "val_loss": 0.25, "accuracy": 1.0, "val_accuracy": 1.0}
        run.journal.append("epoch_ended", phase=0, epoch=2, metrics=metrics, learning_rate=0.01, seconds=1.0)
        page.wait_for_function(f"() => (({CHARTS})()['loss'] || {{data: [{{y: []}}]}}).data[0].y.length === 3")
        tiny_ensemble(tmp_path, "young", iterations=2, complete=False)
        visit(page, own, "ensembles", "young")
        tiny_ensemble(tmp_path, "young", iterations=5)
        expect(page.get_by_text("3 of 5", exact=True)).to_be_visible()


def test_ten_thousand_runs(page, tmp_path):
    from benchmarks.catalog import write_archives

    write_archives(tmp_path, 10_000)
    with serving(tmp_path) as own:
        visit(page, own, "", "10,000 of 10,000 runs")
        found = open_store(tmp_path).runs("val_accuracy > 0.999 and peak_rss < 4GB")
        choose(page, "Filter", "val_accuracy > 0.999 and peak_rss < 4GB")
        expect(page.get_by_text(f"{len(found)} of 10,000 runs")).to_be_visible()
        assert shows(page, *(row["name"] for row in found))

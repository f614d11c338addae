"""The reports of eight real runs: what GitHub, the Hub, a browser and a shell make of them."""

import base64
import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest
import yaml

import archiver
from archiver import layout
from tests.report.github import FRONT_MATTER, TAGS, Page, github_html
from tests.report.hostile import HOSTILE

NAMES = (
    "classifier", "regression", "several_outputs", "one_epoch", "interrupted", "hundred_classes", "other_scripts",
    "hostile",
)  # fmt: skip
"""The functions of gallery.py."""


@pytest.fixture(params=NAMES)
def run(request, gallery):
    return archiver.Run.open(gallery[request.param])


def markdown(run) -> str:
    return (run.path / "README.md").read_text(encoding="utf-8")


def snippets(run, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", markdown(run), re.DOTALL | re.MULTILINE)


def test_every_run_is_sealed_and_whole(run):
    archiver.verify(run.path, deep=True).raise_for_findings()
    failed = [event.details for event in run.journal.read().events if event.event == "step_failed"]
    assert [details for details in failed if "report" in details["step"] or "figure" in details["step"]] == []


def test_github_shows_nothing_but_what_the_templates_make(run):
    page = Page(github_html(markdown(run)))
    assert {name for name, _ in page.tags} <= TAGS
    assert not page.comments
    for name, attributes in page.tags:
        allowed = {"a": {"href"}, "img": {"src", "alt"}, "code": {"class"}, "pre": {"lang"}}
        assert set(attributes) <= allowed.get(name, {"align"}), (name, attributes)
    assert not page.all("a"), "nothing links: files are named, and the page has no anchors of its own"


def test_images_are_files_of_the_archive_and_say_what_they_show(run):
    page = Page(github_html(markdown(run)))
    images = page.all("img")
    drawn = {f"figures/{path.name}" for path in (run.path / "figures").glob("*.svg")}
    assert {image["src"] for image in images} == drawn
    assert ("figures/learning_curves.svg" in drawn) == (run.name != "one_epoch"), "one point is no curve"
    for image in images:
        assert len(image["alt"].split()) >= 4, image


def test_tables_have_the_same_number_of_cells_in_every_row(run):
    for table in re.findall(r"<table>.*?</table>", github_html(markdown(run)), re.DOTALL):
        assert len({len(re.findall(r"<t[dh][ >]", row)) for row in table.split("</tr>")[:-1]}) == 1


def test_the_page_is_one_document_that_fetches_nothing(run):
    import html5lib

    source = (run.path / "README.html").read_text(encoding="utf-8")
    html5lib.HTMLParser(strict=True).parse(source)
    assert len(source) < 2**21
    page = Page(source)
    (script,) = re.findall(r"<script>(.*?)</script>", source, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = page.all("meta")[2]["content"]
    assert "default-src 'none'" in policy
    assert f"'sha256-{digest}'" in policy
    assert script == (Path(archiver.__file__).parent.parent / "templates" / "report.js").read_text(encoding="utf-8")
    extra = {"html", "head", "meta", "title", "style", "body", "nav", "main", "script", "div", "span"}
    assert {name for name, _ in page.tags} <= TAGS | extra
    for name, attributes in page.tags:
        assert not any(key.startswith("on") for key in attributes), (name, attributes)
        for target in (attributes.get("src"), attributes.get("href")):
            assert target is None or target.startswith(("data:image/svg+xml;base64,", "#"))
    for image in page.all("img"):
        assert image["alt"]
        assert_harmless(base64.b64decode(image["src"].partition(",")[2]))


def assert_harmless(svg: bytes) -> None:
    """Only what matplotlib draws, nothing that runs or is fetched."""
    from xml.etree import ElementTree as ET

    drawn = {"svg", "g", "defs", "style", "path", "use", "text", "tspan", "clipPath", "rect", "metadata"}
    for element in ET.fromstring(svg).iter():
        assert element.tag.rpartition("}")[2] in drawn
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert not name.endswith("href") or value.startswith("#")


def test_headings_go_down_one_by_one_and_stand_once(run):
    levels = [
        int(name[1])
        for name, _ in Page((run.path / "README.html").read_text(encoding="utf-8")).tags
        if re.fullmatch(r"h\d", name)
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_the_hub_reads_the_card(run):
    from huggingface_hub import ModelCard

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        card = ModelCard(markdown(run))
    assert card.data.library_name == "keras"
    assert set(card.data.tags) >= {"keras", "archiver"}
    results = run.read(layout.RESULTS)
    wanted = {}
    if not hasattr(results.test, "unavailable"):
        for score in results.test.scores.values():
            for name, value in score.values.items():
                if isinstance(value, float) and value == value and abs(value) != float("inf"):
                    wanted.setdefault(name, []).append(value)
        assert wanted
        found = {}
        for result in card.data.eval_results:
            assert result.dataset_split == "test"
            found.setdefault(result.metric_type, []).append(result.metric_value)
        assert {name: sorted(values) for name, values in found.items()} == {k: sorted(v) for k, v in wanted.items()}


def test_hostile_words_reach_the_front_matter_as_words(gallery):
    text = FRONT_MATTER.match((gallery["hostile"] / "README.md").read_text(encoding="utf-8"))[1]
    data = yaml.safe_load(text)
    assert set(data) == {"license", "license_name", "library_name", "tags", "metrics", "model-index"}
    assert data["license"] == "other"
    assert data["license_name"] == "x --- license: mit"
    assert all(isinstance(tag, str) for tag in data["tags"])
    assert len(data["model-index"]) == 1


def test_hostile_words_are_read_as_they_are(gallery):
    """They are shown, not swallowed."""
    page = Page(github_html((gallery["hostile"] / "README.md").read_text(encoding="utf-8")))
    shown = " ".join(page.text.split())
    for text in HOSTILE:
        if text.isprintable():
            assert " ".join(text.split()) in shown, text


def test_hostile_words_do_not_run_in_templates(gallery):
    text = (gallery["hostile"] / "README.md").read_text(encoding="utf-8")
    assert "1337" not in text.partition("## What is in this archive")[0]
    assert "{{ 7 * 191 }}" in text


def test_figures_hold_hostile_names_as_text(gallery):
    figures = [path.read_bytes() for path in (gallery["hostile"] / "figures").glob("*.svg")]
    for figure in figures:
        assert_harmless(figure)
    assert any(b"&lt;img src=x" in figure for figure in figures)


def test_the_markdown_passes_a_linter(run, tmp_path):
    """Rules that are off: see the list."""
    off = {
        "md013": "lines are as long as a table's row",
        "md033": "folds are HTML",
        "md024": "a heading may stand in two sections",
        "md036": "**Watch out:** is no heading: it must not stand in the contents",
    }
    path = tmp_path / "README.md"
    path.write_text(markdown(run), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pymarkdown",
        "--enable-extensions",
        "front-matter,markdown-tables",
        "-d",
        ",".join(off),
    ]
    found = subprocess.run([*command, "scan", str(path)], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


RUNNER = """
import json, os, sys, traceback
failed = []
for folder, pieces in json.load(sys.stdin):
    os.chdir(folder)
    for piece in pieces:
        try:
            exec(compile(piece, folder, "exec"), {"__name__": "__main__"})
        except BaseException:
            failed.append(folder + "\\n" + piece + "\\n" + traceback.format_exc())
sys.exit("\\n".join(failed) or 0)
"""


def test_every_python_snippet_runs_in_the_folder_of_its_run(gallery):
    work = [(str(path), snippets(archiver.Run.open(path), "python")) for path in gallery.values()]
    assert all(len(pieces) >= 3 for _, pieces in work)
    assert sum("predict(" in piece for _, pieces in work for piece in pieces) == len(work)
    assert sum("fit(" in piece for _, pieces in work for piece in pieces) == len(work) - 1, "all but the interrupted"
    done = subprocess.run([sys.executable, "-c", RUNNER], input=json.dumps(work), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    for path in gallery.values():
        archiver.verify(path).raise_for_findings()
    continued = [path.name for path in gallery["classifier"].parent.iterdir() if "_continued" in path.name]
    assert len(continued) == len(work) - 1
    lines = (gallery["classifier"].parent / "requirements.txt").read_text().splitlines()
    assert any(line.startswith("keras==") for line in lines)


def test_every_shell_snippet_runs_in_the_folder_of_its_run(gallery, tmp_path):
    program = tmp_path / "archiver"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m archiver "$@"\n')
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for name in ("classifier", "hostile"):
        pieces = snippets(archiver.Run.open(gallery[name]), "bash")
        assert len(pieces) == 2
        for piece in pieces:
            done = subprocess.run(
                ["sh", "-e", "-c", piece], cwd=gallery[name], env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, (piece, done.stderr)
        code = gallery[name].parent / "code"
        assert (code / "notes.txt").read_text() == "as committed\nand changed\n"
        subprocess.run(["rm", "-r", str(code)], check=True)


def test_what_the_first_screen_says_of_the_classifier(gallery):
    run = archiver.Run.open(gallery["classifier"])
    text, results = markdown(run), run.read(layout.RESULTS)
    score = results.test.scores["dense"]
    accuracy = f"{score.values['accuracy']:.4f}"
    low, high = (f"{value:.4f}" for value in (score.intervals["accuracy"].low, score.intervals["accuracy"].high))
    assert f"inputs into 10 classes. Test accuracy {accuracy}** (95 % interval {low} to {high}, 400 samples)" in text
    assert "- **3 samples** of the test data (0.75 %) also stand in the validation data\n" in text
    assert "license: apache-2.0\n" in text


def test_what_the_first_screen_says_of_the_others(gallery):
    def start(name: str) -> str:
        return markdown(archiver.Run.open(gallery[name])).partition("\n# ")[2][:2500]

    assert "**Regression of 10 inputs. Test mean absolute error" in start("regression")
    outputs = "with 3 outputs: size (regression), kind (3 classes), is_large (2 classes). Test: size mean absolute"
    assert outputs in start("several_outputs")
    assert "**The training was interrupted by hand after 2 of 9 epochs" in start("interrupted")
    assert "trained 1 of 1 epoch in" in start("one_epoch")
    assert "- not tested" in start("one_epoch")
    assert start("other_scripts").startswith("año nuevo_größe&#95;東京\n")
    assert "into 100 classes" in start("hundred_classes")


def test_the_document_is_the_same_when_made_again(gallery):
    from archiver.report.context import read_records
    from archiver.report.readme import render_readme

    run = archiver.Run.open(gallery["classifier"])
    records = read_records(run)
    assert render_readme(run, records) == render_readme(run, records)
    assert textwrap.dedent(markdown(run)) == markdown(run)


def test_the_same_run_has_figures_of_the_same_bytes(gallery):
    from archiver.report.context import read_records
    from archiver.report.drawing import FIGURES, FIGURES_OF_FILES

    run = archiver.Run.open(gallery["several_outputs"])
    records = read_records(run)
    drawn = {name: draw(records) for name, draw in FIGURES.items()}
    drawn |= {name: draw(run, records) for name, draw in FIGURES_OF_FILES.items()}
    for name, data in drawn.items():
        figure = run.path / "figures" / f"{name}.svg"
        assert data == (figure.read_bytes() if figure.exists() else None), name


def test_every_output_has_its_own_figures(gallery):
    text = markdown(archiver.Run.open(gallery["several_outputs"]))
    sections = re.findall(r"^### Test data: (\S+)$(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL)
    shown = {
        name.replace("&#95;", "_"): re.findall(r"^!.*\(figures/(.*)\.svg\)$", body, re.M) for name, body in sections
    }
    assert shown == {
        "size": ["predictions"],
        "kind": ["confusion_matrix", "calibration"],
        "is_large": ["confusion_matrix_2", "calibration_2"],
    }


def test_the_classes_that_were_tested_are_drawn_before_later_phases(gallery):
    text = markdown(archiver.Run.open(gallery["other_scripts"]))
    (caption,) = re.findall(r"!\[Samples per class: (.*?)\]", text)
    assert [part.split()[0] for part in caption.split(", ")] == ["train", "validation", "test"]
    assert "| train of phase 2 |" in text
    assert "_phase_" not in text.partition("## Data")[2].partition("## Model")[0]


def test_figures_of_half_the_width_stand_side_by_side(gallery):
    page = Page((gallery["classifier"] / "README.html").read_text(encoding="utf-8"))
    assert [image["class"] for image in page.all("img")].count("narrow") == 2
    assert "(figures/confusion_matrix.svg)\n![" in markdown(archiver.Run.open(gallery["classifier"]))


def test_code_is_read_without_scrolling(gallery):
    """But for class names and commands, which may be of any length."""
    for name in ("classifier", "regression", "several_outputs", "interrupted"):
        for code in snippets(archiver.Run.open(gallery[name]), "python"):
            assert [line for line in code.splitlines() if len(line) > 100] == []


def test_text_that_runs_to_the_left_moves_nothing_beside_it(gallery):
    text = markdown(archiver.Run.open(gallery["other_scripts"]))
    assert "| \u2068كلب\u2069 |" in text


def test_the_snippet_says_what_the_inputs_were_like(gallery):
    code = snippets(archiver.Run.open(gallery["classifier"]), "python")[0]
    assert "# In training, values were from 0 to 1.\n# Prepared as in training: pixel values divided by 16\n" in code

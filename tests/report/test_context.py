"""What templates get is documented name by name, and a folder of templates takes the place of ours."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from archiver import layout
from archiver.errors import ArgumentError
from archiver.report.context import context, read_records
from archiver.report.readme import render_readme
from archiver.report.report import checked_templates
from archiver.testing import tiny_run

PAGE = Path(__file__).parents[2] / "docs" / "report.md"


def test_every_name_of_the_context_is_documented_and_no_other(tmp_path):
    _, _, section = PAGE.read_text(encoding="utf-8").partition("## What a template gets")
    documented = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    run = tiny_run(tmp_path)
    assert len(documented) == len(set(documented))
    assert set(documented) == set(context(run, read_records(run)))


def test_every_filter_is_documented_and_no_other():
    from archiver.report.readme import template_environment

    _, _, section = PAGE.read_text(encoding="utf-8").partition("## Filters")
    documented = re.findall(r"^\| `(\w+)(?:\(.*?\))?` \|", section.partition("\n## ")[0], re.MULTILINE)
    from jinja2 import Environment

    ours = {
        name
        for name, value in template_environment(None).filters.items()
        if Environment().filters.get(name) is not value
    }
    assert set(documented) == ours


def test_a_template_of_the_users_takes_the_place_of_one_of_ours(tmp_path):
    folder = tmp_path / "mine"
    (folder / "report").mkdir(parents=True)
    (folder / "report" / "machine.md.j2").write_text("## My machine\n\n{{ name }} <b>{{ '<i>' }}</b>\n\n")
    run = tiny_run(tmp_path)
    text = render_readme(run, read_records(run), checked_templates(folder))
    assert "## My machine\n\ntiny <b>&#60;i&#62;</b>\n" in text
    assert "## Training\n" in text
    assert "## Machine\n" not in text


def test_a_folder_without_templates_of_ours_is_refused(tmp_path):
    (tmp_path / "other.md.j2").write_text("x")
    with pytest.raises(ArgumentError, match=r"README\.md\.j2.*report/machine\.md\.j2"):
        checked_templates(tmp_path)


@pytest.mark.parametrize("status", ["complete", "failed", "interrupted"])
@pytest.mark.parametrize("phases", [1, 3])
def test_no_line_is_empty_and_no_value_is_a_python_object(tmp_path, status, phases):
    run = tiny_run(tmp_path, status=status, phases=phases)
    text = run.path_of(layout.README).read_text(encoding="utf-8")
    assert "\n\n\n" not in text
    for word in ("None", "Unavailable", "unavailable=", "nan", "[]", "{}", "()"):
        assert not re.search(rf"(?<![\w.`]){re.escape(word)}(?![\w(])", text.partition("## Use it")[0]), word
    assert re.findall(r"^## (.+)", text, re.MULTILINE)[-2:] == ["Get it again", "What is in this archive"]


def test_a_run_without_any_record_still_gets_a_report(tmp_path):
    run = tiny_run(tmp_path)
    for path in [*run.path.glob("configs/*"), *run.path.glob("results/*"), *run.path.glob("environment/*.json")]:
        path.unlink()
    run.path_of(layout.WEIGHTS).unlink()
    text = render_readme(run, read_records(run))
    assert text.startswith("---\nlicense: unknown\n")
    assert "\n# tiny\n" in text


def test_making_a_report_costs_nothing_before_it_is_made():
    code = (
        "import sys, archiver.sealing, archiver.report.report, archiver.report.context\n"
        "heavy = {'jinja2', 'markdown_it', 'matplotlib', 'pygments', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

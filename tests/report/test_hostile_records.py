"""An archive from a stranger may say anything in its records: none of it becomes Markdown, HTML or YAML."""

import pytest
import yaml
from pydantic import BaseModel

from archiver.report.context import _derived, _files, read_records
from archiver.report.inventory import InventoryLine
from archiver.report.page import render_page
from archiver.report.readme import fill_inventory, template_environment
from archiver.testing import tiny_run
from tests.report.github import FRONT_MATTER, TAGS, Page, github_html
from tests.report.hostile import HOSTILE

FREE_TEXTS = {
    "name", "original", "class_name", "layer", "path", "type", "message", "location", "monitor", "dtype_policy",
    "target", "interpreter", "working_directory", "unavailable", "reason", "model", "distribution", "version", "group",
    "metric", "output", "held", "evidence", "sources_of_variation", "needs_trust", "tags", "arguments", "dtype",
    "notes", "keras_version", "backend", "summary", "class_names", "description", "hyperparameters", "logged",
}  # fmt: skip
"""Fields of the records that hold a text, or several, which no pattern bounds."""


def poisoned(value, text, key=None):
    """The same record with `text` in every free text, names of metrics and splits included."""
    if isinstance(value, BaseModel):
        fields = {name: poisoned(getattr(value, name), text, name) for name in type(value).model_fields}
        return value.model_copy(update=fields)
    if isinstance(value, dict):
        renames = key in ("metrics", "performance", "final_metrics", "packages", "logged")
        return {(f"{text}{name}" if renames else name): poisoned(item, text, key) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(poisoned(item, text, key) for item in value)
    return text if isinstance(value, str) and key in FREE_TEXTS else value


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tiny_run(tmp_path_factory.mktemp("hostile"), tested=True, figures=True)


@pytest.mark.parametrize("text", HOSTILE)
def test_records_with_hostile_texts_everywhere(run, text):
    records = {kind: poisoned(record, text) for kind, record in read_records(run).items()}
    records["run"] = records["run"].model_copy(update={"tags": (text, text), "notes": {"license": text, text: text}})
    template = template_environment(None).get_template("README.md.j2")
    markdown = template.render(records | _files(run) | _derived(run, records))

    filled = fill_inventory(markdown, [InventoryLine("a/b.json", 1, "0" * 32, "what it is")])
    assert filled.count("a/b.json") == 1
    page = Page(github_html(filled))
    assert {name for name, _ in page.tags} <= TAGS
    assert not page.comments
    assert not page.all("a")
    assert all(image["src"].startswith("figures/") for image in page.all("img"))
    data = yaml.safe_load(FRONT_MATTER.match(filled)[1])
    assert set(data) <= {"license", "license_name", "library_name", "tags", "model-index"}

    html = Page(render_page(markdown, text, {}))
    assert len(html.all("script")) == 1
    assert {name for name, _ in html.tags} <= TAGS | {
        "html", "head", "meta", "title", "style", "body", "nav", "main", "script", "div", "span",
    }  # fmt: skip
    assert not [name for _, attributes in html.tags for name in attributes if name.startswith("on")]

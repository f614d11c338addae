"""The documentation as a site: what `make docs` builds of it is checked here in its parts, without building it."""

import re
import tomllib
from pathlib import Path

import pytest

import archiver
import archiver.data
import archiver.ensemble
import archiver.testing
from docs.building import architecture, links

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def test_the_picture_of_the_architecture_is_that_of_the_code():
    drawn = architecture.PICTURE.read_text(encoding="utf-8")
    assert drawn == architecture.picture(), "`make pictures` draws it anew"
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    names = re.findall(r"archiver\.(\w+)", " ".join(contracts[0]["layers"]))
    assert re.findall(r'font-size="13"[^>]*>([^<]+)<', drawn) == names


def test_no_part_of_a_sentence_in_the_picture_is_too_long():
    assert architecture.fitted("one, two three, four", 15, 1) == ["one, two three"]
    assert architecture.fitted("one two", 15, 1) == ["one two"]
    with pytest.raises(ValueError, match="say it in fewer words"):
        architecture.fitted("one two three four, five", 15, 1)


@pytest.mark.parametrize(
    ("page", "module"),
    [
        ("archiver", archiver), ("data", archiver.data), ("ensemble", archiver.ensemble), ("testing", archiver.testing),
    ],
)  # fmt: skip
def test_everything_public_is_in_the_reference(page, module):
    text = (DOCS / "api" / f"{page}.md").read_text(encoding="utf-8")
    shown = re.findall(rf"^::: {module.__name__}\.(\w+)$", text, re.MULTILINE)
    pages = {path.stem for path in (DOCS / "api").iterdir()}
    assert len(set(shown)) == len(shown)
    assert set(shown) == {name for name in module.__all__ if name not in pages and name != "__version__"}


def test_what_archiver_export_calls_is_in_the_reference():
    text = (DOCS / "api" / "export.md").read_text(encoding="utf-8")
    spoken_of = set(re.findall(r"archiver\.export\.\w+\.\w+", (DOCS / "handing-over.md").read_text(encoding="utf-8")))
    assert spoken_of
    assert spoken_of <= set(re.findall(r"^::: (\S+)$", text, re.MULTILINE))


def write(site: Path, **pages: str) -> None:
    for name, text in pages.items():
        (site / f"{name}.html").write_text(text)


def test_links_that_lead_nowhere_are_found(tmp_path):
    write(
        tmp_path,
        index='<a href="other.html#there"></a><a href="other.html#gone"></a><a href="none.html"></a><img src="/x.png">',
        other='<h1 id="there">x</h1><a href="#there">y</a><a href="https://example.org">z</a>',
    )
    found, count = links.faults(tmp_path)
    assert found == [
        "index.html: /x.png leads nowhere",
        "index.html: none.html leads nowhere",
        "index.html: other.html#gone leads to an anchor that is not there",
    ]
    assert count == 5


def test_what_is_loaded_from_elsewhere_is_found(tmp_path):
    write(
        tmp_path,
        index='<script src="https://example.org/a.js"></script><link href="//example.org/b.css"><img src="data:,">',
    )
    (tmp_path / "c.css").write_text(
        "@font-face { src: url('https://example.org/f.woff') } a { background: url(d.png) }"
    )
    assert [fault.partition(": ")[2] for fault in links.faults(tmp_path)[0]] == [
        "loads //example.org/b.css from elsewhere",
        "loads https://example.org/a.js from elsewhere",
        "loads https://example.org/f.woff from elsewhere",
    ]
    assert links.main(str(tmp_path)) == 1


def test_the_pictures_are_small():
    for picture in (DOCS / "pictures").glob("*.png"):
        assert picture.stat().st_size < 200_000

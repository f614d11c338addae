"""What the site has that does not lie in `docs/`: other pages of the repository, the examples, the sample's report.

MkDocs calls the functions `on_...` (mkdocs.yml, `hooks`). Links are written as they work in the repository; here they
are set right for the site.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
SAMPLE = "docs/sample/digits5to9_cnn_transfer_models.zip"
PAGES = {
    "README.md": "index.md",
    "schemas/README.md": "format.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/RESULTS.md": "results.md",
}
"""By path in the repository: the page of the site."""

_LINK = re.compile(r"\[(?P<text>[^]]*)\]\((?![a-z]+:|#)(?P<target>[^)#\s]+)")
_FILE_NAME = re.compile(r"[\w/.-]+\.md")
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


def site_path(path: str) -> str:
    """Where a file of the repository is on the site, as MkDocs names its sources."""
    if path.startswith("examples/") and path.endswith(".py"):
        return path.removesuffix(".py") + ".md"
    return PAGES.get(path, path.removeprefix("docs/"))


def repository_path(page: str) -> str:
    """Where a page of the site lies in the repository."""
    return next((path for path, name in PAGES.items() if name == page), f"docs/{page}")


def with_links_of_the_site(markdown: str, page: str) -> str:
    """The text of a page with links that work on the site; those that show a file's name show the page's title."""
    here = posixpath.dirname(repository_path(page))

    def moved(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(here, link["target"]))
        text = title_of(ROOT / path) if _FILE_NAME.fullmatch(link["text"]) else link["text"]
        return f"[{text}]({posixpath.relpath(site_path(path), posixpath.dirname(page) or '.')}"

    return _LINK.sub(moved, markdown)


def title_of(page: Path) -> str:
    """The first heading of a page."""
    found = _TITLE.search(page.read_text(encoding="utf-8"))
    return found[1] if found else page.name


def example_page(path: Path) -> str:
    """A page with a script in full."""
    return f"# {path.name}\n\n```python\n{path.read_text(encoding='utf-8')}```\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie elsewhere, and the report of the sample archive as it is in it."""
    for path, name in PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / path).read_text(encoding="utf-8")))
    for script in sorted((ROOT / "examples").glob("*.py")):
        files.append(File.generated(config, f"examples/{script.stem}.md", content=example_page(script)))
    with zipfile.ZipFile(ROOT / SAMPLE) as sample:
        folder = Path(SAMPLE).stem
        report = sample.read(f"{folder}/README.html")
    files.append(File.generated(config, f"sample/{folder}/README.html", content=report))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - MkDocs names them
    """Links as the site has them; and Markdown inside of folds, which GitHub reads without being told."""
    source = page.file.src_uri
    if source.startswith("examples/"):
        return markdown
    if source == "sample.md":
        markdown = markdown.replace("`README.html`", f"[`README.html`](sample/{Path(SAMPLE).stem}/README.html)")
    return with_links_of_the_site(markdown, source).replace("<details>", '<details markdown="1">')

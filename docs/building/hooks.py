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
}
"""By path in the repository: the page of the site."""

_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def site_path(path: str) -> str:
    """Where a file of the repository is on the site, as MkDocs names its sources."""
    if path.startswith("examples/") and path.endswith(".py"):
        return path.removesuffix(".py") + ".md"
    return PAGES.get(path, path.removeprefix("docs/"))


def repository_path(page: str) -> str:
    """Where a page of the site lies in the repository."""
    return next((path for path, name in PAGES.items() if name == page), f"docs/{page}")


def with_links_of_the_site(markdown: str, page: str) -> str:
    """The text of a page with links that work on the site."""
    here = posixpath.dirname(repository_path(page))

    def moved(link: re.Match[str]) -> str:
        target = site_path(posixpath.normpath(posixpath.join(here, link[1])))
        return posixpath.relpath(target, posixpath.dirname(page) or ".")

    return _LINK.sub(moved, markdown)


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
    return with_links_of_the_site(markdown, source).replace("<details>", '<details markdown="1">')

"""Writes the pictures of the documentation anew: `make pictures`.

Four trainings of examples/digits_cnn.py, with different batch sizes and seeds; the report of one of them and the
dashboard over all, as a browser shows them.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from docs.building import architecture
from tests.dashboard.conftest import CHROMIUM, serving

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
MAXIMAL_BYTES = 200_000
TRAININGS = (("42", "32"), ("43", "32"), ("42", "128"), ("43", "128"))
"""Seed and batch size of each."""


def train(store: Path) -> None:
    for seed, batch_size in TRAININGS:
        command = [sys.executable, ROOT / "examples" / "digits_cnn.py", "--root", store]
        settings = ["--seed", seed, "--batch-size", batch_size]
        subprocess.run([*command, *settings], cwd=store.parent, check=True, stdout=subprocess.DEVNULL)


def report(page: Page, store: Path) -> None:
    page.goto((store / "digits_cnn_base_models" / "README.html").as_uri())
    take(page, "report.png")


def dashboard(page: Page, address: str, store: Path) -> None:
    """The comparison of all runs, once its first two charts are drawn."""
    page.goto(f"{address}/compare?" + "&".join(f"path={run.name}" for run in sorted(store.glob("*_models"))))
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot .legendtext').length >= 16", timeout=60_000)
    page.wait_for_timeout(2000)  # what fades in has faded in
    take(page, "dashboard.png")


def take(page: Page, name: str) -> None:
    target = PICTURES / name
    page.screenshot(path=target)
    size = target.stat().st_size
    assert size < MAXIMAL_BYTES, f"{target} has {size:,} bytes"
    print(f"{target}: {size:,} bytes")


def photograph(browser: Browser, store: Path) -> None:
    page = browser.new_page(viewport={"width": 1000, "height": 880}, color_scheme="light")
    report(page, store)
    page.set_viewport_size({"width": 1300, "height": 780})
    with serving(store) as address:
        dashboard(page, address, store)


def main() -> None:
    architecture.PICTURE.write_text(architecture.picture(), encoding="utf-8")
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        store = Path(temporary) / "runs"
        train(store)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        photograph(browser, store)
        browser.close()


if __name__ == "__main__":
    main()

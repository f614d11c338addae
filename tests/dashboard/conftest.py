"""The dashboard as a reader has it: the real server, looked at by a real browser without a window."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from archiver.testing import tiny_ensemble, tiny_run
from tests.dashboard.hostile import make_hostile

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PROGRAM = str(Path(sys.executable).with_name("archiver"))
PATIENCE_MILLISECONDS = 20_000

expect.set_options(timeout=PATIENCE_MILLISECONDS)


@contextlib.contextmanager
def serving(store: Path) -> Iterator[str]:
    """The address of a dashboard over a store."""
    command = [PROGRAM, "dashboard", str(store), "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            line = process.stdout.readline()
            assert "http://127.0.0.1:" in line, line
            yield line.split(": ", 1)[1].split()[0]
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None and not os.environ.get("CI"):
        pytest.skip("needs Chromium: `make browser` installs it")
    assert CHROMIUM is not None, "`make browser` installs Chromium"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that counts dialogs and requests to anywhere else: there must be none."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    found = context.new_page()
    found.set_default_timeout(PATIENCE_MILLISECONDS)
    bad: list[str] = []
    found.on("dialog", lambda dialog: (bad.append(f"dialog {dialog.message}"), dialog.dismiss()))
    found.on("request", lambda request: None if is_own(request.url) else bad.append(request.url))
    yield found
    context.close()
    assert bad == []


def is_own(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:", "about:", "file:"))


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of several kinds, ensembles with and without memory, and what strangers may send."""
    root = tmp_path_factory.mktemp("store")
    tiny_run(root, "first", epochs=3, tested=True, figures=True)
    tiny_run(root, "first", epochs=5)
    tiny_run(root, "failed", status="failed")
    tiny_run(root, "cut_off", sealed=False, status="interrupted")
    tiny_ensemble(root, "measured", iterations=9)
    tiny_ensemble(root, "older", iterations=5, with_memory=False)
    make_hostile(root)
    return root


@pytest.fixture(scope="session")
def address(store: Path) -> Iterator[str]:
    with serving(store) as found:
        yield found

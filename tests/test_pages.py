"""The pages that lead somebody through a task do what they say: their blocks are run, in order, in one folder.

A Python or shell block with `title="name"` is written to that file; other shell blocks are run; a `text` block is what
the block before it printed, but for numbers. Python blocks without a title are one script.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

import archiver
from archiver import layout
from archiver.naming import folder_name
from archiver.storage.journal import events_named
from archiver.testing import tiny_run
from tests.collect.test_notebook import typed
from tests.training.scripts import Server

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Block:
    language: str
    title: str | None
    text: str


def blocks(page: str) -> list[Block]:
    text = (DOCS / page).read_text(encoding="utf-8")
    pattern = r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$'
    return [Block(*found) for found in re.findall(pattern, text, re.DOTALL | re.MULTILINE)]


def code(page: str) -> str:
    return "\n".join(block.text for block in blocks(page) if block.language == "python" and not block.title)


def environment(folder: Path) -> dict[str, str]:
    """With the commands `archiver` and `python` of this environment, whatever else is on the machine."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    for name, words in {"archiver": "-m archiver", "python": ""}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        (programs / name).chmod(0o755)
    return os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def shape(line: str) -> str:
    """A printed line without its numbers."""
    return re.sub(r"\b[0-9a-f]{64}\b|\d[\d.,]*", "#", line).rstrip()


def follow(page: str, folder: Path) -> None:
    """Do what a page says."""
    printed = ""
    for block in blocks(page):
        if block.title:
            (folder / block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "sh":
            command = ["bash", "-euo", "pipefail", "-c", block.text]
            done = subprocess.run(
                command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, (block.text, done.stdout[-2000:], done.stderr[-3000:])
            printed = done.stdout
        elif block.language == "text":
            shapes = {shape(line) for line in printed.splitlines()}
            assert [line for line in block.text.splitlines() if shape(line) not in shapes] == [], printed


def test_a_line_that_was_not_printed_is_seen():
    assert shape("checked 61 files, 3159759 bytes") == shape("checked 7 files, 12 bytes")
    assert shape("checked 61 files") != shape("checked 61 folders")


def test_first_run_md(tmp_path):
    follow("first-run.md", tmp_path)
    run = archiver.Run.open(tmp_path / "runs" / "digits_models")
    assert run.read(layout.RESULTS).test.metrics["accuracy"] > 0.8


def test_existing_script_md(tmp_path):
    follow("existing-script.md", tmp_path)
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["sums_mlp_base_models", "train_mlp_models"]


def test_phases_md(server: Server, tmp_path):
    (tmp_path / "page.py").write_text(code("phases.md"), encoding="utf-8")
    ended = server.run_file(tmp_path, tmp_path / "page.py")
    assert ended.exit_code == 0, ended.errors[-3000:]
    assert "3 epochs at 0.01" in ended.output
    assert "2 epochs at 0.0001" in ended.output
    assert ended.output.endswith("fine_tuning\n")


def test_notebook_md(tmp_path):
    os.environ |= environment(tmp_path)
    cells = [block.text for block in blocks("notebook.md") if block.language == "python"]
    done = typed(tmp_path, cells)
    assert done.returncode == 0, done.stderr[-3000:]
    run = archiver.Run.open(tmp_path / "runs" / "from_a_notebook_models")
    archiver.verify(run.path).raise_for_findings()
    assert "Traceback" not in done.stdout + done.stderr
    recorded = (run.path / "environment" / "source" / "notebook_cells.py").read_text(encoding="utf-8")
    assert "# %% [2]" in recorded


def test_reviewer_md(tmp_path):
    tiny_run(tmp_path / "runs", "digits", tested=True)
    follow("reviewer.md", tmp_path)
    assert (tmp_path / "received" / "digits_models" / "README.html").exists()


def test_the_job_of_cluster_md_goes_on_after_a_signal(tmp_path):
    follow("cluster.md", tmp_path)
    journal = tmp_path / "runs" / "digits_models" / "journal.jsonl"
    job = [shutil.which("bash"), "job.sh"]
    with subprocess.Popen(
        job, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as first:
        deadline = time.monotonic() + 120
        while not (journal.exists() and '"epoch_ended"' in journal.read_text(encoding="utf-8")):
            assert first.poll() is None, first.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        first.send_signal(signal.SIGTERM)
        first.wait(60)
    assert archiver.Run.open(journal.parent).status.status == "failed"
    subprocess.run(job, cwd=tmp_path, env=environment(tmp_path), check=True, capture_output=True)
    run = archiver.Run.open(journal.parent)
    archiver.verify(run.path).raise_for_findings()
    assert run.status.status == "complete"
    assert len(run.read(layout.HISTORY).phases[0].metrics["loss"]) == 40
    assert len(list(events_named(run.journal.read(), "resumed"))) == 1


def test_the_array_of_cluster_md_names_its_runs(server: Server, tmp_path):
    script = tmp_path / "page.py"
    script.write_text(code("cluster.md") + "\nprint(archive)", encoding="utf-8")
    ended = server.run_file(tmp_path, script)
    assert ended.exit_code == 0, ended.errors[-3000:]


def test_sample_md(tmp_path):
    for sample in (DOCS / "sample").iterdir():
        shutil.copy(sample, tmp_path)
    follow("sample.md", tmp_path)
    script = tmp_path / "page.py"
    script.write_text(code("sample.md"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert len(done.stdout.splitlines()) == 3
    page = (DOCS / "sample.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\b[0-9a-f]{64}\b", page)) == {archiver.Run.open(next(tmp_path.glob("*_models"))).seal_id}


def test_the_longest_path_is_as_long_as_limits_md_says():
    name = "n" * 150
    made = [entry.path(name) for entry in layout.all_files() if "*" not in entry.pattern]
    longest = max(len(f"{folder_name(name)}/{path}") for path in made)
    page = " ".join((DOCS / "limits.md").read_text(encoding="utf-8").split())
    assert f"is twice the run's name and {longest - 2 * len(name)} characters" in page

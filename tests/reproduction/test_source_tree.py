"""The source tree is what ran: from the commit and its patch, from a remote, or from the archive's copies alone."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from archiver import layout
from archiver.archive.run import Run
from archiver.collect.git import collect_git
from archiver.records.source import SourceFilePart
from archiver.reproduction.recipe import read_recipe
from archiver.reproduction.source_tree import SourceTree, rebuild
from archiver.sealing import changing
from archiver.storage import files
from archiver.storage.digests import sha256_of
from archiver.testing import tiny_run
from tests.reproduction.test_consent import with_program
from tests.reproduction.trainings import commit_all, git

TRAIN = b"print('changed')\n"


@pytest.fixture
def project(tmp_path) -> Path:
    """A repository with a remote, a change and an untracked module; the remote has gone on since."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("train.py", "other.txt"):
        (folder / name).write_text("first\n")
    commit_all(folder)
    subprocess.run(["git", "init", "--quiet", "--bare", "../remote.git"], cwd=folder, check=True)
    git(folder, "remote", "add", "origin", str(tmp_path / "remote.git"))
    git(folder, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    (folder / "train.py").write_bytes(TRAIN)
    (folder / "other.txt").write_text("second\n")
    return folder


@pytest.fixture
def run(project, tmp_path) -> Run:
    run = with_program(tiny_run(tmp_path / "runs"), TRAIN, working_directory=str(project))
    record, patch, _ = collect_git(project)
    copies = {"environment/source/train.py": TRAIN, "environment/source/inner/helper.py": b"HELP = 1\n"}
    parts = tuple(
        SourceFilePart(
            path=path, original_path=path.removeprefix("environment/source/"), role="module", module="helper",
            size_bytes=len(data), sha256=sha256_of(data),
        )
        for path, data in copies.items()
    )  # fmt: skip
    with changing(run):
        for path, data in copies.items():
            files.write_bytes(run.path / path, data)
        run.write(layout.GIT, record)
        files.write_bytes(run.path_of(layout.PATCH), patch)
        source = run.read(layout.SOURCE).model_copy(update={"files": parts, "root": str(project)})
        run.write(layout.SOURCE, source)
    (project / "later.txt").write_text("x")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "second")
    git(project, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    return run


def built(run: Run, tmp_path: Path, **options: object) -> SourceTree:
    work = tmp_path / "work"
    work.mkdir()
    return rebuild(read_recipe(run), work, **options)


def content(tree: SourceTree) -> dict[str, bytes]:
    paths = (path for path in tree.root.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {path.relative_to(tree.root).as_posix(): path.read_bytes() for path in paths}


WHOLE = {"train.py": TRAIN, "other.txt": b"second\n", "inner/helper.py": b"HELP = 1\n"}


def test_the_commit_with_its_changes_and_the_copies(run, project, tmp_path):
    tree = built(run, tmp_path)
    assert content(tree) == WHOLE
    part = tree.part
    assert (part.origin, part.patch_applied, part.copied_count, part.replaced_count, part.notes) == (
        "repository", True, 1, 0, (),
    )  # fmt: skip
    assert tree.root.name == "project"


def test_a_commit_from_the_remote_is_taken_only_when_it_may_be(run, project, tmp_path):
    shutil.rmtree(project)
    tree = built(run, tmp_path, fetch=True)
    assert (content(tree), tree.part.repository) == (WHOLE, str(tmp_path / "remote.git"))
    shutil.rmtree(tmp_path / "work")
    tree = built(run, tmp_path)
    assert tree.part.origin == "copies"
    assert content(tree) == {name: data for name, data in WHOLE.items() if name != "other.txt"}
    assert "was not to be had (no repository at " in tree.part.notes[0]
    assert collect_git(tree.root)[0].repository.root == str(tree.root)  # the root is where it was


def test_another_repository_serves_as_well(run, project, tmp_path):
    shutil.move(project, tmp_path / "elsewhere")
    assert content(built(run, tmp_path, repository=tmp_path / "elsewhere")) == WHOLE


def test_no_hook_of_the_repository_runs(run, project, tmp_path):
    hook = project / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path / 'witness'}\n")
    hook.chmod(0o755)
    git(project, "config", "core.fsmonitor", f"touch {tmp_path / 'witness'}; false")
    assert content(built(run, tmp_path)) == WHOLE
    assert not (tmp_path / "witness").exists()


def test_links_of_a_commit_lead_nowhere(run, project, tmp_path):
    """A copy takes the place of a link, whose target stays as it is."""
    target = tmp_path / "target"
    target.mkdir()
    (target / "train.py").write_text("precious")
    record, _, _ = collect_git(project)
    (project / "train.py").unlink()
    os.symlink(target / "train.py", project / "train.py")
    os.symlink(target, project / "inner")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "links")
    with changing(run):
        run.write(layout.GIT, collect_git(project)[0])
        files.remove(run.path_of(layout.PATCH))
    tree = built(run, tmp_path)
    assert content(tree) == WHOLE | {"later.txt": b"x"}
    assert not (tree.root / "train.py").is_symlink()
    assert [path.name for path in target.iterdir()] == ["train.py"]
    assert (target / "train.py").read_text() == "precious"
    assert record is not None


def test_what_is_not_as_in_the_commit_is_told(run, project, tmp_path):
    with changing(run):
        files.remove(run.path_of(layout.PATCH))
    tree = built(run, tmp_path)
    assert content(tree) == WHOLE | {"other.txt": b"first\n"}
    assert tree.part.replaced_count == 1
    assert any(note.startswith("train.py is not as in the commit") for note in tree.part.notes)

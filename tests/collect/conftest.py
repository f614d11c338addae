"""Real repositories that depend on no configuration of the machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """`git(folder, *arguments)` runs git and returns its output."""
    home = tmp_path / "home"
    home.mkdir()
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Ada Lovelace\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n"
        '[protocol "file"]\n\tallow = always\n'
    )

    def run(folder: Path, *arguments: str) -> str:
        completed = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
        return completed.stdout.rstrip("\n")

    return run


@pytest.fixture
def repository(git: Git, tmp_path: Path) -> Path:
    """One commit on `main` with a text file and a binary file."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text("print('one')\n")
    (folder / "data.bin").write_bytes(bytes(range(256)) * 40)
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "First things first")
    return folder

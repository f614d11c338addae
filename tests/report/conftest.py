"""The gallery of runs, made once for all tests of the report."""

import fcntl
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

BRANCH = "feature/<img-src=x>`x`|$(rm)"


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def make_gallery(folder: Path) -> dict[str, Path]:
    """By the name of the function in gallery.py: the folder of the run."""
    code = folder / "code"
    code.mkdir(parents=True)
    (code / "train.py").write_bytes((HERE / "gallery.py").read_bytes())
    (code / "hostile.py").write_bytes((HERE / "hostile.py").read_bytes())
    (code / "notes.txt").write_text("as committed\n")
    git(code, "init", "-q", "-b", BRANCH)
    git(code, "add", ".")
    git(code, "commit", "-q", "-m", "<b>first</b> | `commit`")
    git(folder, "clone", "-q", "--bare", str(code), str(folder / "origin.git"))
    git(code, "remote", "add", "origin", str(folder / "origin.git"))
    git(code, "fetch", "-q", "origin")
    (code / "notes.txt").write_text("as committed\nand changed\n")
    root = folder / "runs"
    made = subprocess.run([sys.executable, "train.py", str(root)], cwd=code, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-3000:]
    runs = {path.name.removesuffix("_models"): path for path in sorted(root.iterdir())}
    (other,) = (name for name in runs if name.startswith("ano_nuevo"))
    runs["other_scripts"] = runs.pop(other)
    return runs


@pytest.fixture(scope="session")
def gallery(tmp_path_factory, worker_id):
    """Made by the first process that needs it; each process has a copy of its own."""
    own = tmp_path_factory.getbasetemp()
    shared = own if worker_id == "master" else own.parent
    with open(shared / "gallery.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = shared / "gallery.json"
        if not made.exists():
            runs = make_gallery(shared / "gallery")
            made.write_text(json.dumps({name: path.name for name, path in runs.items()}))
    copy = tmp_path_factory.mktemp("gallery") / "runs"
    shutil.copytree(shared / "gallery" / "runs", copy)
    return {name: copy / folder for name, folder in json.loads(made.read_text()).items()}

"""Repositories in every state, made with git itself; the patch is applied back with git."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import archiver
from archiver.collect.git import collect_git, untracked_files
from archiver.collect.git_commands import repository_root
from archiver.collect.git_patch import holds_secret
from archiver.records.base import Unavailable
from archiver.records.environment import GitRecord, PatchPart, RepositoryPart, UpstreamPart
from archiver.storage.digests import sha256_of

Git = Callable[..., str]

TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD3fG6"


def collected(folder: Path, **options: Any) -> tuple[RepositoryPart, bytes]:
    record, patch, _ = collect_git(folder, **options)
    assert isinstance(record.repository, RepositoryPart), record
    assert GitRecord.model_validate_json(record.model_dump_json(by_alias=True)) == record
    return record.repository, patch


def patch_of(part: RepositoryPart) -> PatchPart:
    assert isinstance(part.patch, PatchPart), part.patch
    return part.patch


def tree(git: Git, folder: Path) -> str:
    """The tree of all tracked files as they are in the working tree."""
    git(folder, "add", "--all")
    return git(folder, "write-tree")


def apply_back(git: Git, repository: Path, patch: bytes, commit: str, clone: Path) -> str:
    git(repository.parent, "clone", "-q", str(repository), str(clone))
    git(clone, "checkout", "-q", commit)
    subprocess.run(["git", "apply", "--whitespace=nowarn"], cwd=clone, input=patch, check=True, capture_output=True)
    return tree(git, clone)


def test_a_clean_repository(git: Git, repository: Path) -> None:
    part, patch = collected(repository)
    assert patch == b""
    assert part.layout == "main"
    assert (part.root, part.folder, part.branch, part.dirty) == (str(repository), ".", "main", False)
    assert part.commit.hash == git(repository, "rev-parse", "HEAD")  # type: ignore[union-attr]
    assert part.commit.subject == "First things first"  # type: ignore[union-attr]
    assert str(int(part.commit.committed.timestamp())) == git(repository, "log", "-1", "--format=%ct")  # type: ignore[union-attr]
    assert patch_of(part) == PatchPart(size_bytes=0, sha256=sha256_of(b""))
    assert (part.remotes, part.submodules, part.filters_off) == ((), (), ())


def test_nobody_is_named(git: Git, repository: Path) -> None:
    git(repository, "commit", "-q", "--allow-empty", "-m", f"Key {TOKEN}\n\nby Ada Lovelace")
    text = collect_git(repository)[0].model_dump_json()
    assert "Lovelace" not in text
    assert "ada@" not in text
    assert TOKEN not in text
    assert "Key [redacted]" in text


def test_time_zone_and_tag(git: Git, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-11-21T03:12:08-0330")
    git(repository, "commit", "-q", "--allow-empty", "-m", "x")
    git(repository, "tag", "v1")
    commit = collected(repository)[0].commit
    assert commit.committed.isoformat() == "2026-11-21T06:42:08+00:00"  # type: ignore[union-attr]
    assert commit.offset_seconds == -12600  # type: ignore[union-attr]
    assert commit.description.startswith("v1-0-g")  # type: ignore[union-attr]


def test_the_patch_gives_an_equal_tree(git: Git, repository: Path, tmp_path: Path) -> None:
    (repository / "old.txt").write_text("leaves\n" * 50)
    (repository / "mode.sh").write_text("#!/bin/sh\n")
    (repository / "crlf.txt").write_bytes(b"a\r\nb\r\n")
    os.symlink("train.py", repository / "link")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "more")
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "train.py").write_text("print('two') without a line feed at the end")
    (repository / "data.bin").write_bytes(random.Random(1).randbytes(70_000))
    (repository / "staged.bin").write_bytes(random.Random(2).randbytes(3000))
    (repository / "ünïcode näme.txt").write_text("ünïcode\n")
    git(repository, "add", "staged.bin", "ünïcode näme.txt")
    git(repository, "mv", "old.txt", "new.txt")
    (repository / "mode.sh").chmod(0o755)
    (repository / "crlf.txt").write_bytes(b"a\r\nc\r\n\r\n")
    (repository / "link").unlink()
    os.symlink("data.bin", repository / "link")
    (repository / "empty").write_text("")
    git(repository, "add", "-N", "empty")
    index = (repository / ".git" / "index").read_bytes()
    part, patch = collected(repository)
    assert (repository / ".git" / "index").read_bytes() == index
    assert patch_of(part) == PatchPart(size_bytes=len(patch), sha256=sha256_of(patch))
    assert part.dirty is True
    codes = {entry.path: entry.code for entry in part.changes.entries}  # type: ignore[union-attr]
    assert codes["train.py"] == " M"
    assert codes["staged.bin"] == "A "
    assert (codes["old.txt"], codes["new.txt"]) == ("D ", "A ")
    assert apply_back(git, repository, patch, commit, tmp_path / "clone") == tree(git, repository)


@pytest.mark.parametrize("seed", range(4))
def test_random_changes_give_an_equal_tree(git: Git, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    repository = tmp_path / "random"
    repository.mkdir()
    git(repository, "init", "-q")

    def scribble(number: int) -> None:
        path = repository / f"folder {number % 3}" / f"file-{number}"
        path.parent.mkdir(exist_ok=True)
        kind = dice.randrange(3)
        lines = b"".join(dice.choice((b"a\n", b"b\r\n", b"\n", b"last")) for _ in range(dice.randrange(30)))
        path.write_bytes((dice.randbytes(dice.randrange(2000)), lines, b"")[kind])

    for number in range(20):
        scribble(number)
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "base")
    commit = git(repository, "rev-parse", "HEAD")
    for number in range(0, 30, 2):
        scribble(number)
    git(repository, "add", ".")
    for number in range(0, 30, 6):
        scribble(number)
    (repository / "folder 1" / "file-1").unlink()
    _, patch = collected(repository)
    assert apply_back(git, repository, patch, commit, tmp_path / "clone") == tree(git, repository)


def test_settings_of_the_user_do_not_change_the_patch(git: Git, repository: Path) -> None:
    (repository / "train.py").write_text("print('two')\n")
    _, expected = collected(repository)
    for name, value in {
        "diff.noprefix": "true", "diff.mnemonicPrefix": "true", "diff.context": "9", "color.ui": "always",
        "diff.external": "false", "core.pager": "false", "diff.relative": "true", "diff.orderFile": "/nowhere",
        "diff.submodule": "log", "diff.interHunkContext": "50", "status.short": "true", "core.quotePath": "false",
    }.items():  # fmt: skip
        git(repository, "config", name, value)
    assert collected(repository)[1] == expected
    assert expected.endswith(b"\n")


def test_touched_files_are_no_change_and_the_index_stays(git: Git, repository: Path) -> None:
    os.utime(repository / "train.py", (1, 1))
    before = (repository / ".git" / "index").read_bytes()
    part, patch = collected(repository)
    assert (part.dirty, patch) == (False, b"")
    assert (repository / ".git" / "index").read_bytes() == before
    assert not list((repository / ".git").glob("*.lock"))


def test_a_change_in_the_second_of_the_commit(git: Git, repository: Path) -> None:
    git(repository, "config", "core.trustctime", "false")
    moment = 1_700_000_000
    os.utime(repository / "train.py", (moment, moment))
    git(repository, "update-index", "--refresh")
    os.utime(repository / ".git" / "index", (moment, moment))
    (repository / "train.py").write_text("print('two')\n")
    os.utime(repository / "train.py", (moment, moment))
    part, patch = collected(repository)
    assert part.dirty is True
    assert b"+print('two')" in patch


def test_a_repository_that_names_programs_everywhere(git: Git, repository: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    program = tmp_path / "program.sh"
    program.write_text(f"#!/bin/sh\necho $0 $* >> {proof}\ncat\n")
    program.chmod(0o755)
    (repository / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n*.txt filter=worse\n")
    (repository / "a.txt").write_text("a\n")
    git(repository, "add", ".gitattributes", "a.txt")
    git(repository, "commit", "-q", "-m", "attributes")
    for name in (
        "core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "core.askPass", "core.gitProxy",
        "diff.external", "diff.evil.command", "diff.evil.textconv", "filter.evil.clean", "filter.evil.smudge",
        "filter.worse.process", "gpg.program", "credential.helper", "merge.evil.driver", "uploadpack.packObjectsHook",
        "core.alternateRefsCommand", "alias.status", "alias.diff",
    ):  # fmt: skip
        git(repository, "config", name, f"!{program}" if name.startswith("alias") else str(program))
    git(repository, "config", "filter.worse.required", "true")
    git(repository, "config", "log.showSignature", "true")
    git(repository, "config", "protocol.ext.allow", "always")
    git(repository, "config", "core.hooksPath", str(tmp_path / "hooks"))
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("post-index-change", "fsmonitor-watchman", "post-checkout", "reference-transaction", "pre-auto-gc"):
        shutil.copy(program, hooks / hook)
    (repository / "train.py").write_text("print('two')\n")
    (repository / "a.txt").write_text("b\n")
    (repository / "untracked.txt").write_text("c\n")
    proof.unlink(missing_ok=True)  # the preparations may have run some of them
    part, patch = collected(repository)
    untracked_files(repository)
    repository_root(repository)
    assert not proof.exists(), proof.read_text()
    subprocess.run(["git", "diff", "HEAD"], cwd=repository, capture_output=True, check=False)
    assert proof.exists(), "the trap does not work"
    assert part.filters_off == ("evil", "worse")
    assert b"+print('two')\n" in patch
    assert b"+b\n" in patch


def test_filters_of_the_user_are_run(git: Git, repository: Path, tmp_path: Path) -> None:
    git(repository, "config", "--global", "filter.upper.clean", "tr a-z A-Z")
    (repository / ".gitattributes").write_text("*.txt filter=upper\n")
    (repository / "a.txt").write_text("a\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "upper")
    (repository / "a.txt").write_text("b\n")
    part, patch = collected(repository)
    assert part.filters_off == ()
    assert b"+B\n" in patch
    git(repository, "config", "filter.upper.clean", f"touch {tmp_path}/proof; cat")
    part, patch = collected(repository)
    assert part.filters_off == ("upper",)
    assert b"+B\n" in patch
    assert not (tmp_path / "proof").exists()


def test_a_filter_that_cannot_be_switched_off(git: Git, repository: Path) -> None:
    git(repository, "config", "filter.a=b.clean", "cat")
    part, patch = collected(repository)
    assert patch == b""
    assert isinstance(part.patch, Unavailable)
    assert isinstance(part.dirty, Unavailable)
    assert not isinstance(part.commit, Unavailable)


def test_a_patch_that_holds_a_secret_is_withheld(git: Git, repository: Path) -> None:
    (repository / "train.py").write_text(f"login('{TOKEN}')\n")
    part, patch = collected(repository)
    assert patch == b""
    assert patch_of(part).withheld == "it looks like it holds a secret"
    assert patch_of(part).size_bytes > 0
    git(repository, "commit", "-q", "-a", "-m", "oops")
    (repository / "train.py").write_text("login()\n")
    assert patch_of(collected(repository)[0]).withheld == "it looks like it holds a secret"


def test_the_letters_of_binary_parts_are_no_secret() -> None:
    binary = (
        b"GIT binary patch\nliteral 40\nzhf_"
        + b"aB3d" * 10
        + b"\nzhf_"
        + b"aB3d" * 10
        + b"\n\nliteral 0\nHcmV?d00001\n\n"
    )
    assert not holds_secret(b"diff --git a/x b/x\n" + binary)
    assert holds_secret(b"diff --git a/x b/x\n" + binary + b"@@ -0,0 +1 @@\n+hf_" + b"aB3d" * 10 + b"\n")


def test_a_huge_patch_is_left_out_with_its_size(git: Git, repository: Path) -> None:
    (repository / "data.bin").write_bytes(random.Random(1).randbytes(300_000))
    whole = collected(repository)[1]
    part, patch = collected(repository, maximal_patch_bytes=len(whole) - 1)
    assert patch == b""
    assert patch_of(part).size_bytes == len(whole)
    assert patch_of(part).withheld == f"it is larger than {len(whole) - 1} bytes"
    assert collected(repository, maximal_patch_bytes=len(whole))[1] == whole


def test_no_repository(git: Git, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "not there"):
        record, patch, _ = collect_git(folder)
        assert patch == b""
        assert isinstance(record.repository, Unavailable)
        assert record.git_version == git(tmp_path, "--version").removeprefix("git version ")
    assert repository_root(tmp_path) is None
    assert repository_root(tmp_path / "not there") is None


def test_no_git_program(repository: Path, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from archiver.collect.git import collect_git as c; r, p, _ = c(Path('.'));"
        "print(r.git_version.unavailable, '|', r.repository.unavailable, '|', p)"
    )
    environment = os.environ | {"PATH": str(tmp_path)}
    output = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert output.count("there is no git program") == 2


def test_a_bare_repository(git: Git, repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare.git")
    part, patch = collected(tmp_path / "bare.git")
    assert part.layout == "bare"
    assert part.branch == "main"
    assert part.commit.subject == "First things first"  # type: ignore[union-attr]
    assert patch == b""
    for value in (part.root, part.folder, part.dirty, part.patch, part.untracked):
        assert isinstance(value, Unavailable)


def test_inside_the_git_folder(repository: Path) -> None:
    part, _ = collected(repository / ".git")
    assert isinstance(part.patch, Unavailable)
    assert not isinstance(part.commit, Unavailable)


def test_nothing_committed_yet(git: Git, tmp_path: Path) -> None:
    repository = tmp_path / "new"
    repository.mkdir()
    git(repository, "init", "-q")
    (repository / "staged.py").write_text("1\n")
    (repository / "other.py").write_text("2\n")
    git(repository, "add", "staged.py")
    part, patch = collected(repository)
    assert isinstance(part.commit, Unavailable)
    assert part.branch == "main"
    assert part.untracked.paths == ("other.py",)  # type: ignore[union-attr]
    target = tmp_path / "target"
    target.mkdir()
    git(target, "init", "-q")
    subprocess.run(["git", "apply"], cwd=target, input=patch, check=True)
    assert (target / "staged.py").read_text() == "1\n"
    assert not (target / "other.py").exists()


def test_a_detached_head(git: Git, repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    branch = collected(repository)[0].branch
    assert "detached" in branch.unavailable  # type: ignore[union-attr]


def test_a_merge_in_conflict(git: Git, repository: Path, tmp_path: Path) -> None:
    git(repository, "checkout", "-q", "-b", "other")
    (repository / "train.py").write_text("print('other')\n")
    git(repository, "commit", "-q", "-a", "-m", "other")
    git(repository, "checkout", "-q", "main")
    (repository / "train.py").write_text("print('main')\n")
    git(repository, "commit", "-q", "-a", "-m", "main")
    subprocess.run(["git", "merge", "other"], cwd=repository, capture_output=True, check=False)
    part, patch = collected(repository)
    assert [entry.code for entry in part.changes.entries] == ["UU"]  # type: ignore[union-attr]
    assert apply_back(git, repository, patch, "main", tmp_path / "clone") == tree(git, repository)


def test_a_linked_worktree(git: Git, repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    (tmp_path / "side" / "train.py").write_text("print('side')\n")
    part, patch = collected(tmp_path / "side")
    assert (part.layout, part.branch, part.root) == ("linked_worktree", "side", str(tmp_path / "side"))
    assert b"side" in patch
    assert collected(repository)[1] == b""


def test_submodules(git: Git, repository: Path, tmp_path: Path) -> None:
    outer = outer_repository(git, repository, tmp_path)
    inner_folder = outer / "libs" / "inner"
    first = git(inner_folder, "rev-parse", "HEAD")
    git(inner_folder, "commit", "-q", "--allow-empty", "-m", "next")
    part, patch = collected(outer)
    (submodule,) = part.submodules  # type: ignore[misc]
    assert (submodule.path, submodule.url) == ("libs/inner", "https://h/inner.git")
    assert submodule.recorded_commit == first
    assert submodule.checked_out_commit == git(inner_folder, "rev-parse", "HEAD") != first
    assert submodule.changes.count == 0  # type: ignore[union-attr]
    assert [entry.path for entry in part.changes.entries] == ["libs/inner"]  # type: ignore[union-attr]
    assert patch == b""
    (inner_folder / "train.py").write_text("changed\n")
    inner, inner_patch = collected(inner_folder)
    assert inner.layout == "submodule"
    assert b"+changed" in inner_patch
    shutil.rmtree(inner_folder)
    inner_folder.mkdir()
    part, _ = collected(outer)
    (absent,) = part.submodules  # type: ignore[misc]
    assert isinstance(absent.checked_out_commit, Unavailable)
    assert isinstance(absent.changes, Unavailable)
    assert part.submodules_patch == PatchPart(size_bytes=0, sha256=sha256_of(b""))


def outer_repository(git: Git, inner: Path, folder: Path, name: str = "outer", path: str = "libs/inner") -> Path:
    outer = folder / name
    outer.mkdir()
    git(outer, "init", "-q")
    (outer / "main.py").write_text("1\n")
    git(outer, "add", "main.py")
    git(outer, "submodule", "--quiet", "add", str(inner), path)
    git(outer, "config", "-f", ".gitmodules", f"submodule.{path}.url", "https://ada:hunter2@h/inner.git")
    git(outer, "commit", "-q", "-a", "-m", "outer")
    return outer


def test_changes_inside_of_submodules(git: Git, repository: Path, tmp_path: Path) -> None:
    """The patch of all submodules, one inside another, applied back at the top gives the same files."""
    middle = outer_repository(git, repository, tmp_path, "middle", "deep näme")
    git(middle, "config", "-f", ".gitmodules", "submodule.deep näme.url", str(repository))
    git(middle, "commit", "-q", "-a", "-m", "local")
    outer = outer_repository(git, middle, tmp_path)
    git(outer, "config", "-f", ".gitmodules", "submodule.libs/inner.url", str(middle))
    git(outer, "commit", "-q", "-a", "-m", "local")
    git(outer, "submodule", "--quiet", "update", "--init", "--recursive")
    git(tmp_path, "clone", "-q", "--recurse-submodules", str(outer), "clone")
    clean, _ = collected(outer)
    assert (clean.dirty, [part.path for part in clean.submodules]) == (False, ["libs/inner", "libs/inner/deep näme"])  # type: ignore[union-attr]
    names = {
        "libs/inner/main.py": b"2\n",
        "libs/inner/deep näme/train.py": b"print('two')\n",
        "libs/inner/deep näme/data.bin": random.Random(3).randbytes(5000),
        "libs/inner/new.py": b"3\n",
    }
    for name, data in names.items():
        (outer / name).write_bytes(data)
    git(outer / "libs" / "inner", "add", "new.py")
    record, patch, inner_patch = collect_git(outer)
    part = record.repository
    assert isinstance(part, RepositoryPart)
    assert (part.dirty, patch) == (True, b"")
    assert part.submodules_patch == PatchPart(size_bytes=len(inner_patch), sha256=sha256_of(inner_patch))
    assert [each.changes.count for each in part.submodules] == [2, 2]  # type: ignore[union-attr]
    subprocess.run(["git", "apply"], cwd=tmp_path / "clone", input=inner_patch, check=True, capture_output=True)
    for name, data in names.items():
        assert (tmp_path / "clone" / name).read_bytes() == data
    (outer / "libs" / "inner" / "main.py").write_text(f"key = '{TOKEN}'\n")
    record, _, inner_patch = collect_git(outer)
    assert inner_patch == b""
    assert TOKEN not in record.model_dump_json()
    assert "withheld" in record.repository.submodules_patch.unavailable  # type: ignore[union-attr]


def test_odd_names_in_the_patch(git: Git, repository: Path, tmp_path: Path) -> None:
    names = ["line\nfeed", 'tab\tand "quotes"', os.fsdecode(b"no-\xff-text"), "-option", "a b/c\\d"]
    for name in names:
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text("1\n")
    git(repository, "add", "--all")
    git(repository, "commit", "-q", "-m", "names")
    commit = git(repository, "rev-parse", "HEAD")
    for name in names:
        (repository / name).write_text("2\n")
    part, patch = collected(repository)
    assert part.changes.count == len(names)  # type: ignore[union-attr]
    assert "no-\\udcff-text" in {entry.path for entry in part.changes.entries}  # type: ignore[union-attr]
    assert apply_back(git, repository, patch, commit, tmp_path / "clone") == tree(git, repository)


def test_upstream_and_remotes_as_last_fetched(git: Git, repository: Path, tmp_path: Path) -> None:
    part, _ = collected(repository)
    assert "follows none" in part.upstream.unavailable  # type: ignore[union-attr]
    assert part.on_remote is False
    git(tmp_path, "clone", "-q", str(repository), "clone")
    clone = tmp_path / "clone"
    part, _ = collected(clone)
    assert part.upstream == UpstreamPart(branch="origin/main", ahead=0, behind=0)
    assert (part.on_remote, part.shallow, part.sparse, part.operation) == (True, False, False, None)
    for _ in range(2):
        git(clone, "commit", "-q", "--allow-empty", "-m", "mine")
    git(repository, "commit", "-q", "--allow-empty", "-m", "theirs")
    git(clone, "fetch", "-q")
    part, _ = collected(clone)
    assert part.upstream == UpstreamPart(branch="origin/main", ahead=2, behind=1)
    assert part.on_remote is False
    git(clone, "checkout", "-q", "--detach", "origin/main")
    part, _ = collected(clone)
    assert part.on_remote is True
    assert isinstance(part.upstream, Unavailable)


def test_a_shallow_and_sparse_clone(git: Git, repository: Path, tmp_path: Path) -> None:
    (repository / "part").mkdir()
    (repository / "part" / "a.py").write_text("1\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "part")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repository}", "clone")
    clone = tmp_path / "clone"
    git(clone, "sparse-checkout", "set", "part")
    part, patch = collected(clone)
    assert (part.shallow, part.sparse, part.dirty, patch) == (True, True, False, b"")
    (clone / "part" / "a.py").write_text("2\n")
    _, patch = collected(clone)
    assert b"+2" in patch
    assert b"deleted" not in patch


def test_what_is_half_done(git: Git, repository: Path) -> None:
    def begin(*arguments: str) -> str | None:
        subprocess.run(["git", *arguments], cwd=repository, capture_output=True, check=False)
        return collected(repository)[0].operation

    for branch in ("other", "main"):
        git(repository, "checkout", "-q", "-B", branch, "main")
        (repository / "train.py").write_text(f"print({branch!r})\n")
        git(repository, "commit", "-q", "-a", "-m", branch)
    assert begin("merge", "other") == "merge"
    assert begin("merge", "--abort") is None
    assert begin("rebase", "other") == "rebase"
    assert begin("rebase", "--abort") is None
    assert begin("cherry-pick", "other") == "cherry-pick"
    assert begin("cherry-pick", "--abort") is None
    assert begin("revert", "main~1") == "revert"
    assert begin("revert", "--abort") is None
    assert begin("bisect", "start") == "bisect"


def test_objects_of_lfs_are_counted(git: Git, repository: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n"
    (repository / "weights.bin").write_text(pointer.format("a" * 64))
    git(repository, "add", "weights.bin")
    git(repository, "commit", "-q", "-m", "pointer")
    assert patch_of(collected(repository)[0]).lfs_object_count == 0
    (repository / "weights.bin").write_text(pointer.format("b" * 64))
    part, patch = collected(repository)
    assert patch_of(part).lfs_object_count == 1
    assert b"+oid sha256:bbb" in patch


def test_while_python_ends(repository: Path) -> None:
    """No thread can be started then (Python 3.12 refuses), and GitPython's limit of time needs one."""
    code = (
        "import atexit, threading; from pathlib import Path; from archiver.collect.git import collect_git\n"
        "def late():\n"
        "    def refuse(*arguments): raise RuntimeError('cannot start new thread at interpreter shutdown')\n"
        "    threading.Thread.start = refuse\n"
        "    print(collect_git(Path('.'))[0].model_dump_json(by_alias=True))\n"
        "atexit.register(late)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(archiver.__file__).parents[1])}
    output = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, env=environment, check=True, capture_output=True
    ).stdout
    record = GitRecord.model_validate_json(output)
    assert record.repository.commit.subject == "First things first"  # type: ignore[union-attr]


def test_a_repository_of_somebody_else(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    record, patch, _ = collect_git(repository)
    assert patch == b""
    assert "belongs to another user" in record.repository.unavailable  # type: ignore[union-attr]
    assert repository_root(repository) is None


def test_variables_that_point_elsewhere(
    git: Git, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    expected, _ = collected(repository)
    for name, value in {
        "GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(other), "GIT_INDEX_FILE": "/nowhere/index",
        "GIT_EXTERNAL_DIFF": "false", "GIT_OBJECT_DIRECTORY": "/nowhere", "GIT_LITERAL_PATHSPECS": "1",
        "GIT_CONFIG": "/nowhere", "GIT_NAMESPACE": "x",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    (repository / "train.py").write_text("print('two')\n")
    part, patch = collected(repository)
    assert part.commit == expected.commit
    assert part.root == str(repository)
    assert b"two" in patch


def test_remotes_are_redacted(git: Git, repository: Path) -> None:
    git(repository, "remote", "add", "origin", f"https://{TOKEN}@github.com/o/r.git")
    git(repository, "remote", "set-url", "--push", "origin", "git@github.com:o/r.git")
    git(repository, "remote", "add", "a.b", "https://u:hunter2@h/r?token=hunter2")
    git(repository, "config", "url.https://u:hunter2@github.com/.insteadOf", "https://github.com/")
    record, _, _ = collect_git(repository)
    assert TOKEN not in record.model_dump_json()
    assert "hunter2" not in record.model_dump_json()
    remotes = {remote.name: remote for remote in collected(repository)[0].remotes}  # type: ignore[union-attr]
    assert remotes["origin"].url == "https://github.com/o/r.git"
    assert remotes["origin"].push_url == "git@github.com:o/r.git"
    assert remotes["a.b"].url == "https://h/r"


def test_a_folder_below_the_root(repository: Path) -> None:
    (repository / "a" / "b").mkdir(parents=True)
    (repository / "train.py").write_text("print('two')\n")
    part, patch = collected(repository / "a" / "b")
    assert (part.root, part.folder) == (str(repository), "a/b")
    assert b"a/train.py" in patch


def test_untracked_files(repository: Path) -> None:
    (repository / ".gitignore").write_text("ignored*\n")
    for number in range(600):
        (repository / f"note-{number:03}.txt").write_text("")
    (repository / "ignored.txt").write_text("")
    archive = repository / "runs" / "digits_models"
    (archive / "configs").mkdir(parents=True)
    (archive / "journal.jsonl").write_text("")
    (archive / "configs" / "x.json").write_text("")
    (repository / os.fsdecode(b"no-\xff-text")).write_text("")
    untracked = collected(repository)[0].untracked
    assert untracked.count == 602  # type: ignore[union-attr]
    assert len(untracked.paths) == 500  # type: ignore[union-attr]
    assert not any("runs" in path or "ignored.txt" in path for path in untracked_files(repository))


def test_many_changes_are_bounded(git: Git, repository: Path) -> None:
    for number in range(600):
        (repository / f"file-{number}").write_text("")
    git(repository, "add", ".")
    changes = collected(repository)[0].changes
    assert (changes.count, len(changes.entries)) == (600, 500)  # type: ignore[union-attr]


def test_a_broken_repository(repository: Path) -> None:
    (repository / ".git" / "index").write_bytes(b"rubbish")
    part, patch = collected(repository)
    assert patch == b""
    assert isinstance(part.patch, Unavailable)
    assert not isinstance(part.commit, Unavailable)
    (repository / ".git" / "HEAD").write_text("rubbish\n")
    assert isinstance(collect_git(repository)[0].repository, Unavailable)


def test_sha256_repositories(git: Git, tmp_path: Path) -> None:
    repository = tmp_path / "long"
    repository.mkdir()
    git(repository, "init", "-q", "--object-format=sha256")
    (repository / "a").write_text("a\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "a")
    commit = collected(repository)[0].commit
    assert len(commit.hash) == 64  # type: ignore[union-attr]

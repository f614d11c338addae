"""`verify`, `show`, `diff` and `list` on URLs: what they say of a run in a store is what they say of it here."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import pytest

import archiver
from archiver.errors import MissingExtraError, NotAnArchiveError, RemoteError
from archiver.remote.checking import find_remote_archives
from archiver.remote.patience import Patience
from archiver.testing import tiny_run
from tests.remote.conftest import Store, command, folder_bytes, put


@pytest.fixture
def large_run(tmp_path):
    """A run with a file that is far larger than its documents."""
    run = tiny_run(tmp_path / "runs", "digits", sealed=False)
    (run.path / "files" / "large.bin").write_bytes(os.urandom(3 << 20))
    from archiver.closing import close_unfinished
    from archiver.report.report import ReportOptions

    close_unfinished(run, report=ReportOptions(figures=False))
    return run


def test_verify_there_says_what_verify_says_here(store, tmp_path, large_run):
    archiver.push(large_run.path, store.url)
    url = f"{store.url}/digits_models"
    plan = store.plan()
    here, there = archiver.verify(large_run.path), archiver.verify(url)
    assert there == dataclasses.replace(here, path=url)
    assert there.is_whole
    assert plan.bytes_out < 1.3 * here.bytes_checked  # each byte travels once
    assert archiver.verify(url, algorithm="all", deep=True).tensors_checked > 0


def damage(files: dict[str, bytes]) -> dict[str, dict[str, bytes | None]]:
    """By name, changes to files; None removes."""
    model = next(path for path in files if path.endswith(".weights.h5") and "best" not in path)
    large, notes = files["files/large.bin"], files["files/notes.txt"]
    return {
        "bits of a streamed file and of a tensor, line ends, one more file": {
            "files/large.bin": bytes([large[0] ^ 1]) + large[1:],
            "files/notes.txt": notes.replace(b"\n", b"\r\n"),
            "files/more.bin": b"x" * 100_000,
            model: files[model][:-200] + bytes([files[model][-200] ^ 255]) + files[model][-199:],
        },
        "cut short": {"files/large.bin": large[:-100]},
        "zeros, a record": {
            "files/large.bin": large[: 1 << 20] + bytes(len(large) - (1 << 20)),
            "results/digits_results.json": b"{",
        },
        "moved, a torn journal": {
            "files/large.bin": None,
            "files/elsewhere.bin": large,
            "journal.jsonl": files["journal.jsonl"][:-1],
        },
        "no seal, a file missing": {"manifest-blake3.txt": None, "files/large.bin": None},
    }


def change(store: Store, run: archiver.Run, changes: dict[str, bytes | None]) -> None:
    """Here and there."""
    for path, data in changes.items():
        if data is None:
            (run.path / path).unlink()
            store.filesystem.rm_file(f"{store.url}/digits_models/{path}")
        else:
            (run.path / path).write_bytes(data)
            put(store, f"digits_models/{path}", data)


def test_damage_there_is_found_as_it_is_here(store, large_run):
    url = f"{store.url}/digits_models"
    archiver.push(large_run.path, store.url)
    before = folder_bytes(large_run.path)
    for name, changes in damage(before).items():
        change(store, large_run, changes)
        here, there = archiver.verify(large_run.path), archiver.verify(url)
        expected = [
            dataclasses.replace(each, message=each.message.replace(str(large_run.path), url)) for each in here.findings
        ]
        assert list(there.findings) == expected, name
        assert len(there.findings) >= len(changes) - 1, name
        change(store, large_run, {path: before.get(path) for path in changes})
    assert archiver.verify(url).is_whole


def test_objects_that_stand_for_folders_are_none_of_the_files(store, tmp_path):
    run = tiny_run(tmp_path / "runs", "digits")
    archiver.push(run.path, f"{store.url}/runs")
    for name in ("runs/", "runs/digits_models/", "runs/digits_models/files/"):
        put(store, name, b"")
    assert archiver.verify(f"{store.url}/runs/digits_models").is_whole
    assert find_remote_archives(f"{store.url}/runs") == [f"{store.url}/runs/digits_models"]
    assert archiver.pull(f"{store.url}/runs/digits_models", tmp_path / "copy").report.is_whole
    assert archiver.push(run.path, f"{store.url}/runs").sent_count == 0


def test_hostile_names_are_findings(store, tmp_path):
    archiver.push(tiny_run(tmp_path / "runs", "digits").path, store.url)
    names = ["../../evil", "files//x", "files/\x01x", "files"]
    for name in names:
        put(store, f"digits_models/{name}")
    report = archiver.verify(f"{store.url}/digits_models")
    assert {finding.path for finding in report.findings if finding.code == "unsafe_path"} == set(names)
    assert "\x01" not in "".join(finding.describe() for finding in report.findings)


def test_a_zip_file_and_a_bag_there(store, tmp_path, capsys):
    run = tiny_run(tmp_path / "runs", "digits")
    for form in ("zip", "bag"):
        out = command(capsys, "export", run.path, "--to", form)
        assert out
    store.filesystem.put(str(tmp_path / "runs" / "digits_models.zip"), f"{store.url}/handed.zip")
    store.filesystem.put(str(tmp_path / "runs" / "digits_models_bag"), f"{store.url}/bag", recursive=True)
    zipped, bag = archiver.verify(f"{store.url}/handed.zip"), archiver.verify(f"{store.url}/bag")
    assert (zipped.wrapping, bag.wrapping) == ("zip", "bag")
    assert zipped.is_whole
    assert bag.is_whole
    assert zipped.seal_id == bag.seal_id == run.seal_id
    assert "complete (epochs), sealed" in command(capsys, "show", f"{store.url}/handed.zip")


def test_a_network_that_is_down_is_no_finding(store, tmp_path, large_run):
    archiver.push(large_run.path, store.url)
    store.plan(is_down=True)
    with pytest.raises(RemoteError):
        archiver.verify(f"{store.url}/digits_models", patience=Patience(2, 0.01))
    store.plan(share=1.0, left=10**6, methods=("GET",), kinds=("drop",), only="files/large.bin")
    with pytest.raises(RemoteError):
        archiver.verify(f"{store.url}/digits_models", patience=Patience(2, 0.01))


def test_the_command_line_takes_urls(store, tmp_path, capsys):
    runs = [tiny_run(tmp_path / "runs", "digits", epochs=count) for count in (2, 3)]
    for run in runs:
        told = command(capsys, "push", run.path, f"{store.url}/runs")
        assert f"seal id: {run.seal_id}" in told
    url = f"{store.url}/runs"
    assert find_remote_archives(url) == [f"{url}/digits-2_models", f"{url}/digits_models"]
    assert "2 of 2 archives are whole" in command(capsys, "verify", url)
    shown = command(capsys, "show", f"{url}/digits_models")
    assert "complete (epochs), sealed" in shown
    assert "/tmp" not in shown.replace(str(tmp_path), "")
    here = command(capsys, "diff", "--format", "json", *(run.path for run in runs), code=1)
    there = command(capsys, "diff", "--format", "json", f"{url}/digits_models", runs[1].path, code=1)
    assert there == here.replace(str(runs[0].path), f"{url}/digits_models")
    pulled = command(capsys, "pull", f"{url}/digits_models", tmp_path / "mine")
    assert "mine: whole" in pulled
    assert "another run lies there" in command(capsys, "push", tiny_run(tmp_path / "other", "digits").path, url, code=7)
    assert "nothing. Expected the folder of a run" in command(capsys, "verify", f"{url}/none", code=4)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(MissingExtraError, match=r'pip install "keras-archiver\[gcs\]"'):
        archiver.verify("gs://bucket/run")
    with pytest.raises(NotAnArchiveError):
        archiver.verify("memory://nothing/here")


def test_the_hub_as_far_as_it_can_be_tried_here():
    """Its listings tell SHA-256 of large files, git's digest of others; each file is a commit, one after the other."""
    from huggingface_hub.hf_api import BlobLfsInfo

    from archiver.remote.listing import entry_of
    from archiver.remote.urls import open_remote

    remote = open_remote("hf://user/digits_models")
    assert (remote.root, remote.threads, remote.name) == ("user/digits_models", 1, "digits_models")
    large = {"size": 9, "blob_id": "a" * 40, "lfs": BlobLfsInfo(size=9, sha256="b" * 64, pointer_size=130)}
    assert entry_of(large).digests == {"sha256": "b" * 64}
    assert entry_of({"size": 9, "blob_id": "a" * 40, "lfs": None}).digests == {"git": "a" * 40}


def test_all_runs_of_a_store_are_verified_by_processes(store, tmp_path):
    for name in ("first", "second", "third"):
        archiver.push(tiny_run(tmp_path / "runs", name).path, f"{store.url}/runs")
    put(store, "runs/second_models/more.txt")
    results = str(tmp_path / "results.jsonl")
    arguments = ["verify", "--recursive", "--jobs", "2", "--results", results, f"{store.url}/runs"]

    def verified() -> str:
        # A process of its own: the ones that joblib keeps were started before there was this store.
        done = subprocess.run([sys.executable, "-m", "archiver", *arguments], capture_output=True, text=True)
        assert done.returncode == 1, done.stderr
        return done.stdout

    said = verified()
    assert "2 of 3 archives are whole" in said
    assert "FINDING [unlisted] more.txt" in said
    plan = store.plan()
    assert "2 of 3 archives are whole (3 of them verified before" in verified()
    assert plan.bytes_out < 200_000  # the listing alone

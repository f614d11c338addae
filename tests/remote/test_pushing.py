"""Pushing and pulling, against a real server of S3's protocol, through a network that spoils things."""

from __future__ import annotations

import os
import shutil

import pytest

import archiver
from archiver.errors import ArgumentError, NotAnArchiveError, RemoteError, RunStateError, UnsafePathError
from archiver.remote.patience import Patience
from archiver.remote.sender import Sender
from archiver.remote.urls import shown_url
from archiver.sealing import seal, unseal
from archiver.testing import add_phase, add_test_results, tiny_run
from tests.property.campaigns import campaign
from tests.remote.conftest import QUICK, Store, folder_bytes, put
from tests.remote.faults import FAULTS

SEAL = "manifest-blake3.txt"


def test_a_run_is_there_as_it_is_here_and_comes_back(store, tmp_path):
    run = tiny_run(tmp_path / "runs", "digits")
    pushed = archiver.push(run.path, f"{store.url}/runs")
    assert (pushed.url, pushed.seal_id) == (f"{store.url}/runs/digits_models", run.seal_id)
    assert pushed.sent_count == len(folder_bytes(run.path))
    assert store.files("runs/digits_models") == folder_bytes(run.path)
    pulled = archiver.pull(f"{store.url}/runs/digits_models", tmp_path / "copy")
    pulled.report.raise_for_findings()
    assert pulled.report.seal_id == run.seal_id
    assert folder_bytes(tmp_path / "copy") == folder_bytes(run.path)
    assert os.listdir(tmp_path / "runs") == ["digits_models"]


def test_what_is_there_is_not_sent_again(store, tmp_path):
    run = tiny_run(tmp_path / "runs", "digits")
    archiver.push(run.path, store.url)
    again = archiver.push(run.path, store.url)
    assert (again.sent_count, again.kept_count) == (0, len(folder_bytes(run.path)))
    shutil.rmtree(tmp_path / "cache")  # S3 tells digests: another machine need not send either
    assert archiver.push(run.path, f"{store.url}/digits_models").sent_count == 0
    weights = next(path for path in folder_bytes(run.path) if path.endswith(".keras"))
    add_test_results(run)
    later = archiver.push(run.path, store.url)
    assert 0 < later.sent_count < later.kept_count
    assert not any(weights in path for method, path in store.proxy.plan.requests[-60:] if method == "PUT")
    assert store.files("digits_models") == folder_bytes(run.path)


@pytest.mark.parametrize("store_url", ["memory://kept/runs", "file"])
def test_stores_without_digests_are_read_back_and_remembered(store_url, store, tmp_path):
    url = store_url if store_url != "file" else f"file://{tmp_path}/there"
    run = tiny_run(tmp_path / "runs", "digits")
    assert archiver.push(run.path, url, replace=True).sent_count == len(folder_bytes(run.path))
    assert archiver.push(run.path, url).sent_count == 0
    archiver.pull(f"{url}/digits_models", tmp_path / "copy").report.raise_for_findings()


def test_files_in_parts(store, tmp_path, monkeypatch):
    for module in ("fingerprints", "uploading"):
        monkeypatch.setattr(f"archiver.remote.{module}.PART_BYTES", 5 << 20)
    run = tiny_run(tmp_path / "runs", "digits", sealed=False)
    (run.path / "files" / "large.bin").write_bytes(os.urandom(11 << 20))
    archiver.push(run.path, store.url)
    assert archiver.push(run.path, store.url).sent_count == 0
    shutil.rmtree(tmp_path / "cache")
    assert archiver.push(run.path, store.url).sent_count == 0
    assert store.files("digits_models") == folder_bytes(run.path)


# -- the seal


class Watch:
    """What a reader sees of the seal after each request."""

    def __init__(self, store: Store, folder: str) -> None:
        self.store, self.folder = store, folder
        self.is_claimed: list[bool] = []
        self._choose = store.proxy.plan.choose
        store.proxy.plan.choose = self.look  # type: ignore[method-assign]

    def look(self, method: str, path: str) -> str | None:
        if method in ("PUT", "POST", "DELETE"):
            self.is_claimed.append(self.store.filesystem.exists(f"{self.store.url}/{self.folder}/{SEAL}"))
        return self._choose(method, path)


def test_the_seal_goes_first_and_comes_last(store, tmp_path):
    run = tiny_run(tmp_path / "runs", "digits")
    store.plan()
    watch = Watch(store, "digits_models")
    archiver.push(run.path, store.url)
    assert not any(watch.is_claimed)
    add_phase(run)
    store.plan()
    watch = Watch(store, "digits_models")
    archiver.push(run.path, store.url)
    assert watch.is_claimed[0]  # it is removed by the first request that changes anything
    assert not any(watch.is_claimed[1:])
    assert store.files("digits_models") == folder_bytes(run.path)


def test_a_push_that_is_cut_off_leaves_no_seal_and_goes_on(store, tmp_path):
    run = tiny_run(tmp_path / "runs", "digits")
    before = folder_bytes(run.path)
    plan = store.plan()
    choose = plan.choose

    def break_down(method: str, path: str) -> str | None:
        if sum(each == "PUT" for each, _ in plan.requests) > 20:
            plan.is_down = True
        return choose(method, path)

    plan.choose = break_down  # type: ignore[method-assign]
    with pytest.raises(RemoteError, match=r"cannot send .* \(tried 2 times\)"):
        archiver.push(run.path, store.url, patience=Patience(2, 0.01))
    there = store.files("digits_models")
    assert 5 < len(there) < len(before)
    assert "journal.jsonl" in there
    assert SEAL not in there
    assert folder_bytes(run.path) == before
    pulled = archiver.pull(f"{store.url}/digits_models", tmp_path / "half") if store.plan() else None
    assert {finding.code for finding in pulled.report.findings} >= {"not_sealed"}
    rest = archiver.push(run.path, store.url)
    assert rest.kept_count > 5
    assert store.files("digits_models") == before


def test_a_training_that_goes_on_meanwhile_is_no_failure(store, tmp_path):
    """The process that uploads beside it is asked again when the run is sealed again."""
    run = tiny_run(tmp_path / "runs", "digits")
    told: list[dict[str, object]] = []
    sender = Sender(told.append)
    sender.open(store.url, {})
    plan = store.plan()
    choose = plan.choose

    def go_on(method: str, path: str) -> str | None:
        if sum(each == "PUT" for each, _ in plan.requests) == 10 and run.seal_id is not None:
            plan.choose = choose  # type: ignore[method-assign]
            unseal(run)
            (run.path / "files" / "notes.txt").write_text("other notes\n")
        return choose(method, path)

    plan.choose = go_on  # type: ignore[method-assign]
    sender.push(str(run.path), 1)
    assert SEAL not in store.files("digits_models")
    seal(run)
    sender.push(str(run.path), 2)
    assert told == [{"names": []}, {"number": 1, "seal_id": None}, {"number": 2, "seal_id": run.seal_id}]
    assert store.files("digits_models") == folder_bytes(run.path)


# -- faults


def test_each_kind_of_fault(store, tmp_path):
    run = tiny_run(tmp_path / "runs", "digits", sealed=False)
    archiver.push(run.path, store.url)
    for number, kind in enumerate(FAULTS):
        for name in "abc":
            (run.path / "files" / name).write_text(f"{number} {name}" * 100)
        plan = store.plan(share=1.0, left=2, kinds=(kind,), seed=number, only="/files/")
        archiver.push(run.path, store.url, patience=QUICK)
        assert plan.done[kind] == 2, kind
        assert store.files("digits_models") == folder_bytes(run.path), kind
    plan = store.plan(share=0.4, left=12, methods=("GET",), kinds=FAULTS[:-1])
    archiver.pull(f"{store.url}/digits_models", tmp_path / "copy", patience=QUICK)
    assert sum(plan.done.values()) == 12
    assert folder_bytes(tmp_path / "copy") == folder_bytes(run.path)


def test_bytes_that_change_on_their_way_here_are_asked_for_again(store, tmp_path):
    run = tiny_run(tmp_path / "runs", "digits")
    archiver.push(run.path, store.url)
    plan = store.plan(share=1.0, left=2, kinds=("bit flip",), methods=("GET",), only=".weights.h5")
    assert archiver.pull(f"{store.url}/digits_models", tmp_path / "copy", patience=QUICK).report.is_whole
    assert plan.done["bit flip"] == 2


@pytest.mark.stress
def test_many_faults_at_random(store, tmp_path):
    """A share of all requests fails, uploads, listings and looks alike, until so many have; whatever was pushed in
    between, in the end both sides are whole and equal."""
    wanted = campaign(15, 200)
    seen: dict[str, int] = {}
    gave_up = round_number = 0
    while sum(seen.values()) < wanted:
        round_number += 1
        run = tiny_run(tmp_path / "runs", f"run-{round_number}")
        for change in (None, add_test_results):
            if change:
                change(run)
            left = min(20, wanted - sum(seen.values()))
            plan = store.plan(
                share=0.25, left=left, methods=("PUT", "POST", "HEAD", "GET", "DELETE"), seed=round_number
            )
            while True:
                try:
                    archiver.push(run.path, store.url, patience=Patience(4, 0.01, 0.05))
                    break
                except RemoteError:
                    gave_up += 1
            for kind, count in plan.done.items():
                seen[kind] = seen.get(kind, 0) + count
            store.plan()
            assert store.files(run.path.name) == folder_bytes(run.path)
        archiver.verify(run.path).raise_for_findings()
        pulled = archiver.pull(f"{store.url}/{run.path.name}", tmp_path / f"copy-{round_number}")
        pulled.report.raise_for_findings()
    assert sum(seen.values()) >= wanted
    assert set(seen) == set(FAULTS) or wanted < 100
    print(f"\n{sum(seen.values())} faults {seen}, {round_number} runs, {gave_up} pushes gave up and were repeated")


# -- what must not be written over


def test_another_run_is_never_written_over(store, tmp_path):
    one, other = tiny_run(tmp_path / "a", "digits"), tiny_run(tmp_path / "b", "digits")
    archiver.push(one.path, store.url)
    before = store.files("digits_models")
    with pytest.raises(RunStateError, match="another run lies there"):
        archiver.push(other.path, store.url)
    assert store.files("digits_models") == before
    archiver.push(other.path, store.url, replace=True)
    assert store.files("digits_models") == folder_bytes(other.path)


def test_a_run_that_is_further_along_there_is_not_set_back(store, tmp_path):
    run = tiny_run(tmp_path / "a", "digits")
    shutil.copytree(run.path, tmp_path / "b" / "digits_models")
    add_phase(run)
    archiver.push(run.path, store.url)
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(RunStateError, match="is further along than"):
        archiver.push(tmp_path / "b" / "digits_models", store.url)
    add_test_results(archiver.Run.open(tmp_path / "b" / "digits_models"))
    with pytest.raises(RunStateError, match="this run went on in another way"):
        archiver.push(tmp_path / "b" / "digits_models", store.url)


def test_a_place_with_other_things_is_left_alone(store, tmp_path):
    run = tiny_run(tmp_path / "runs", "digits")
    store.filesystem.pipe_file(f"{store.url}/digits_models/thesis.pdf", b"x")
    with pytest.raises(RunStateError, match="holds 1 files and no journal"):
        archiver.push(run.path, store.url)


def test_what_is_no_url_is_said_as_it_was_given(tmp_path):
    run = tiny_run(tmp_path / "runs", "digits", sealed=False)
    for given in ("s3://", "nothing", "s3://a::b", "s3://bucket/\x07"):
        with pytest.raises(ArgumentError, match="Expected one such as 's3://bucket/runs'"):
            archiver.push(run.path, given)
    assert shown_url("ftp://me:hunter2@host/runs/?token=x#y") == "ftp://host/runs"
    assert shown_url("abfs://container@account.example/runs/") == "abfs://container@account.example/runs"


def test_a_damaged_run_is_not_sealed_there(store, tmp_path):
    run = tiny_run(tmp_path / "runs", "digits")
    path = next(run.path.glob("models/*.keras"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(RunStateError, match="is not as it was sealed"):
        archiver.push(run.path, store.url)
    assert SEAL not in store.files("digits_models")


# -- pulling


def test_a_pull_that_is_cut_off_goes_on(store, tmp_path):
    run = tiny_run(tmp_path / "runs", "digits")
    archiver.push(run.path, store.url)
    plan = store.plan()
    choose = plan.choose

    def break_down(method: str, path: str) -> str | None:
        plan.is_down = sum(each == "GET" for each, _ in plan.requests) > 20
        return choose(method, path)

    plan.choose = break_down  # type: ignore[method-assign]
    with pytest.raises(RemoteError):
        archiver.pull(f"{store.url}/digits_models", tmp_path / "copy", patience=Patience(2, 0.01))
    assert not (tmp_path / "copy").exists()
    store.plan()
    pulled = archiver.pull(f"{store.url}/digits_models", tmp_path / "copy")
    assert pulled.kept_count > 5
    assert pulled.report.is_whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "copy", "runs"]


def test_nothing_is_pulled_over_what_is_there(store, tmp_path):
    run = tiny_run(tmp_path / "runs", "digits")
    archiver.push(run.path, store.url)
    with pytest.raises(RunStateError, match="is there already"):
        archiver.pull(f"{store.url}/digits_models", tmp_path / "runs")
    with pytest.raises(NotAnArchiveError, match="It holds 1 runs: digits_models"):
        archiver.pull(store.url, tmp_path / "copy")
    with pytest.raises(NotAnArchiveError, match="where there is nothing"):
        archiver.pull(f"{store.url}/nothing", tmp_path / "copy")


def test_damage_there_is_told_and_not_hidden(store, tmp_path):
    run = tiny_run(tmp_path / "runs", "digits")
    archiver.push(run.path, store.url)
    store.filesystem.pipe_file(f"{store.url}/digits_models/files/notes.txt", b"something else")
    report = archiver.pull(f"{store.url}/digits_models", tmp_path / "copy").report
    assert [(finding.code, finding.path) for finding in report.findings][:1] == [("changed", "files/notes.txt")]
    archiver.push(run.path, store.url)  # and sends it again
    assert store.files("digits_models") == folder_bytes(run.path)


def test_hostile_names_are_never_paths(store, tmp_path):
    run = tiny_run(tmp_path / "runs", "digits")
    archiver.push(run.path, store.url)
    for name in ("../../evil", "a/../../b", "files//x", "files/a\\b", "files/\x01x", "C:/x", "files", "/etc/passwd"):
        put(store, f"digits_models/{name}")
        with pytest.raises(UnsafePathError):
            archiver.pull(f"{store.url}/digits_models", tmp_path / "out" / "copy")
        bucket = store.url.removeprefix("s3://")
        store.filesystem.call_s3("delete_object", Bucket=bucket, Key=f"digits_models/{name}")
    assert not (tmp_path / "out").exists()

"""Verifying all archives of a store: the same reports as one by one, partial failures told, and gone on with."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from archiver.archive.findings import VerifyReport
from archiver.archive.run import find_archives
from archiver.archive.store_verifying import verify_store
from archiver.archive.verifying import verify
from archiver.cli.main import main
from archiver.errors import RecordError
from archiver.jobs import Outcome
from archiver.testing import tiny_run
from tests.clusters import dask_cluster


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for number in range(5):
        tiny_run(tmp_path / "store", f"run_{number}")
    damaged = tmp_path / "store" / "run_3_models" / "README.md"
    damaged.write_bytes(damaged.read_bytes() + b" ")
    (tmp_path / "store" / "run_4_models" / "manifest-blake3.txt").unlink()
    return tmp_path / "store"


def verified(store: Path, **options: object) -> dict[str, Outcome[str, VerifyReport]]:
    return {Path(each.item).name: each for each in verify_store(find_archives(store), **options)}  # type: ignore[arg-type]


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_reports_are_those_of_each(store: Path, jobs: int) -> None:
    found = verified(store, jobs=jobs)
    assert {name: each.result for name, each in found.items()} == {
        path.name: verify(path) for path in find_archives(store)
    }
    assert [name for name, each in sorted(found.items()) if each.result and each.result.is_whole] == [
        f"run_{n}_models" for n in range(3)
    ]


def test_a_dask_cluster_gives_the_same_reports(store: Path) -> None:
    with dask_cluster() as address:
        found = verified(store, cluster=address)
    assert {name: each.result for name, each in found.items()} == {
        path.name: verify(path) for path in find_archives(store)
    }


def test_what_stands_in_the_results_is_not_verified_again(store: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    before = verified(store, results=results, jobs=1)
    lines = results.read_bytes().splitlines(keepends=True)
    assert len(lines) == 5
    results.write_bytes(b"".join(lines[:3]) + lines[3][:50])  # killed while it wrote
    after = verified(store, results=results, jobs=1)
    assert sum(each.is_from_before for each in after.values()) == 3
    assert {name: each.result for name, each in after.items()} == {name: each.result for name, each in before.items()}
    assert len(results.read_bytes().splitlines()) == 5
    assert all(each.is_from_before for each in verified(store, results=results, jobs=1).values())


def test_what_could_not_be_verified_is_tried_again(store: Path, tmp_path: Path) -> None:
    results, paths = tmp_path / "results.jsonl", [str(store / "run_0_models"), str(store / "run_9_models")]
    first = {each.item: each for each in verify_store(paths, results=results, jobs=1)}
    failure = first[paths[1]].failure
    assert failure is not None
    assert "run_9_models" in failure.message
    tiny_run(store, "run_9")
    again = {each.item: each for each in verify_store(paths, results=results, jobs=1)}
    assert [again[path].is_from_before for path in paths] == [True, False]
    assert again[paths[1]].result == verify(paths[1])


def test_another_file_is_no_file_of_results(store: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("a list\nof things\n")
    with pytest.raises(RecordError, match="name another file"):
        list(verify_store(find_archives(store), results=other, jobs=1))
    assert other.read_text() == "a list\nof things\n"


def test_the_command_goes_on_after_it_was_killed(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(15):
        tiny_run(store, f"more_{number:02}")
    results = tmp_path / "results.jsonl"
    arguments = ["verify", "--recursive", "--jobs", "2", "--results", str(results), str(store)]
    process = subprocess.Popen([sys.executable, "-m", "archiver", *arguments], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not results.exists() or results.stat().st_size < 100):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    noted = results.read_bytes().count(b"\n")
    assert 1 <= noted < 20
    with pytest.raises(SystemExit) as ended:
        main([*arguments[:2], "--jobs", "1", *arguments[4:]])
    assert ended.value.code == 1
    shown = capsys.readouterr().out
    assert f"18 of 20 archives are whole ({noted} of them verified before" in shown
    assert "FINDING [changed] README.md" in shown
    assert len({json.loads(line)["item"] for line in results.read_bytes().splitlines()}) == 20


@pytest.mark.parametrize(
    "arguments",
    [["--jobs", "2"], ["--results", "x"], ["--recursive", "--expect", "0" * 64], ["--recursive", "--jobs", "0"]],
)
def test_options_that_do_not_go_together(store: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["verify", *arguments, str(store)])
    assert ended.value.code == 2
    assert "Error" in capsys.readouterr().err

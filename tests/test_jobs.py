"""Work on many things: whatever happens to one of them, the others are done, here and on a cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from archiver import jobs
from archiver.errors import ArgumentError, RunStateError, StorageError
from archiver.jobs import Outcome, run_jobs
from tests.clusters import dask_cluster

HERE = str(Path(__file__).parents[1])


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with dask_cluster() as address:
        yield address


def square(number: int) -> int:
    if number == 3:
        raise RunStateError("three is not ready")
    if number == 5:
        raise ZeroDivisionError("five")
    return number * number


def square_or_die(number: int) -> int:
    if number == 4:
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def by_item(outcomes: Iterator[Outcome[int, int]]) -> dict[int, Outcome[int, int]]:
    found = list(outcomes)
    assert len({each.item for each in found}) == len(found)
    return {each.item: each for each in found}


def check_squares(found: dict[int, Outcome[int, int]]) -> None:
    assert {item: each.result for item, each in found.items() if each.failure is None} == {
        number: number * number for number in range(8) if number not in (3, 5)
    }
    three, five = found[3].failure, found[5].failure
    assert three is not None
    assert five is not None
    assert (three.message, three.exit_code) == ("three is not ready", RunStateError.exit_code)
    assert five.message == "ZeroDivisionError: five"


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_is_the_outcome_of_its_item_alone(jobs: int) -> None:
    check_squares(by_item(run_jobs(square, range(8), jobs=jobs)))


@pytest.mark.parametrize("count", [12, 100])  # sent one by one, and several together
def test_a_process_that_dies_is_the_outcome_of_its_item_alone(count: int) -> None:
    found = by_item(run_jobs(square_or_die, range(count), jobs=2))
    assert {item for item, each in found.items() if each.failure is not None} == {4}
    assert found[4].failure is not None
    assert "the process that worked on it ended" in found[4].failure.message
    assert sum(each.result or 0 for each in found.values()) == sum(n * n for n in range(count)) - 16


def test_a_cluster_does_the_same(cluster: str) -> None:
    check_squares(by_item(run_jobs(square, range(8), cluster=cluster)))


def test_many_items_are_sent_together_and_come_back_alone(cluster: str) -> None:
    for options in ({"jobs": 2}, {"cluster": cluster}):
        found = by_item(run_jobs(abs, range(-1000, 0), **options))
        assert {item: each.result for item, each in found.items()} == {number: -number for number in range(-1000, 0)}


def test_what_is_left_of_a_group_that_takes_long_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "GROUP_SECONDS", -1)
    assert jobs._attempt_all(square, [(0, 1), (1, 2)]) == [(0, Outcome(1, 1))]

    def here(function, groups, options):
        return chain.from_iterable(jobs._attempt_all(function, group) for group in groups)

    monkeypatch.setattr(jobs, "_parallel", here)
    found = by_item(run_jobs(square_or_die, range(10, 110), jobs=2))
    assert {item: each.result for item, each in found.items()} == {number: number * number for number in range(10, 110)}


def test_nothing_to_do() -> None:
    assert list(run_jobs(square, [])) == []


def test_arguments_that_cannot_be() -> None:
    with pytest.raises(ArgumentError, match="at least 1"):
        run_jobs(square, [1], jobs=0)
    with pytest.raises(ArgumentError, match="one of them"):
        run_jobs(square, [1], jobs=2, cluster="tcp://127.0.0.1:8786")


def test_no_scheduler_is_said_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(StorageError, match="no Dask scheduler at 'nonsense://1'"):
        list(run_jobs(square, [1, 2], cluster="nonsense://1"))


@pytest.mark.parametrize("module", ["joblib", "distributed"])
def test_without_the_library_the_extra_is_named(module: str) -> None:
    script = f"""
import importlib.util, sys
sys.path.insert(0, {HERE!r})
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == {module!r} else found(name, *rest)
from archiver.jobs import run_jobs
print(sum(each.result for each in run_jobs(abs, [-1, -2]))) if {module!r} == "joblib" else None
try:
    list(run_jobs(abs, [1, 2], cluster="tcp://127.0.0.1:1"))
except ImportError as error:
    print(error)
"""
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "pip install 'keras-archiver[cluster]'" in shown
    if module == "joblib":
        assert shown.startswith("3\n")

"""`archiver.open_store` of a URL: the rows of a store elsewhere are those of the same folder here."""

from __future__ import annotations

import shutil

import pytest

import archiver
from archiver.errors import ArgumentError, RemoteError
from archiver.remote.patience import Patience
from archiver.testing import add_test_results, tiny_ensemble, tiny_run


def listed(place: object) -> list[dict[str, object]]:
    store = archiver.open_store(place)
    columns = [name for name, _, _ in store.names()]
    try:
        return store.runs(sort=("path",), columns=columns)
    finally:
        store.close()


def test_rows_there_are_rows_here(store, tmp_path):
    runs = [
        tiny_run(tmp_path / "runs", "digits"),
        tiny_run(tmp_path / "runs", "digits", tested=True),
        tiny_run(tmp_path / "runs" / "more", "failed", status="failed"),
        tiny_run(tmp_path / "runs", "cut", sealed=False, status="interrupted"),
    ]
    next((runs[0].path / "results").glob("*_results.json")).write_text("{")
    tiny_ensemble(tmp_path / "runs", "many")
    store.filesystem.put(str(tmp_path / "runs"), f"{store.url}/", recursive=True)
    url = f"{store.url}/runs"
    plan = store.plan()
    assert len(listed(url)) == 4
    assert len([path for method, path in plan.requests if method == "GET" and "list-type" not in path]) == 9
    here, there = listed(tmp_path / "runs"), listed(url)
    broken = [row["path"] for row in here if row["problem"] and "results" in str(row["problem"])]
    assert broken == ["digits_models"]
    for one, other in zip(here, there, strict=True):
        if one["path"] not in broken:
            assert one == other
        else:
            assert other["problem"]
    assert archiver.open_store(url).ensembles() == archiver.open_store(tmp_path / "runs").ensembles()


def test_only_what_changed_is_read_again(store, tmp_path):
    runs = [tiny_run(tmp_path / "runs", "digits") for _ in range(3)]
    for run in runs:
        archiver.push(run.path, store.url)
    opened = archiver.open_store(store.url, refreshed=False)
    assert opened.refresh().read_count == 3
    plan = store.plan()
    assert opened.refresh().read_count == 0
    assert [method for method, _ in plan.requests] == ["GET"]  # the listing
    add_test_results(runs[1])
    archiver.push(runs[1].path, store.url)
    store.filesystem.rm(f"{store.url}/digits_models", recursive=True)
    result = opened.refresh()
    assert (result.run_count, result.read_count, result.dropped_count) == (2, 1, 1)
    assert opened.catalogue_path.is_relative_to(tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    assert len(listed(store.url)) == 2


def test_stores_that_cannot_be_used(store, monkeypatch):
    with pytest.raises(ArgumentError, match="Expected one such as"):
        archiver.open_store("s3://")
    for nothing in (store.url, "s3://no-such-bucket-here"):
        with pytest.raises(ArgumentError, match="where there is nothing"):
            archiver.open_store(nothing)
    store.plan(is_down=True)
    monkeypatch.setattr("archiver.catalog.remote.PATIENT", Patience(2, 0.01))
    with pytest.raises(RemoteError, match="cannot list s3://"):
        archiver.open_store(store.url)

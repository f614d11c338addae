"""Statistics of many caches: those of each, whoever worked them out, and a damaged one stops nobody."""

import json

import pytest

from archiver.cli.main import main
from archiver.data import (
    CacheStorage,
    WindowCache,
    Windowing,
    build_cache,
    cache_statistics,
    data_statistics,
)
from tests.clusters import dask_cluster
from tests.data.cache.recordings import recording


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("caches")
    for number in range(4):
        build_cache(folder / f"cache_{number}.h5", [recording(number)], Windowing(200, 50), CacheStorage(scale="item"))
    return folder


def without_time(described):
    return {name: value for name, value in described.items() if name != "elapsed_seconds"}


def expected(caches):
    return {
        str(path): without_time(json.loads(json.dumps(data_statistics(WindowCache(path)).described())))
        for path in sorted(caches.glob("*.h5"))
    }


@pytest.mark.parametrize("jobs", [1, 2])
def test_each_has_its_own_statistics(caches, jobs):
    found = {each.item: without_time(each.result) for each in cache_statistics(sorted(caches.glob("*.h5")), jobs=jobs)}
    assert found == expected(caches)
    assert len({each["arrays"]["x"]["blake3"] for each in found.values()}) == 4


def test_a_cluster_and_a_file_of_results(caches, tmp_path):
    paths, results = sorted(caches.glob("*.h5")), tmp_path / "results.jsonl"
    with dask_cluster() as address:
        found = {each.item: each for each in cache_statistics(paths[:2], cluster=address, results=results)}
    again = {each.item: each for each in cache_statistics(paths, jobs=1, results=results)}
    assert [again[str(path)].is_from_before for path in paths] == [True, True, False, False]
    assert {path: without_time(each.result) for path, each in again.items()} == expected(caches)
    assert found.keys() == {str(path) for path in paths[:2]}


def test_the_command(caches, tmp_path, capsys):
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(b"no HDF5")
    with pytest.raises(SystemExit) as ended:
        main(["cache", "statistics", "--jobs", "1", "--format", "json", str(caches), str(damaged)])
    shown = capsys.readouterr()
    assert ended.value.code == 4
    assert str(damaged) in shown.err
    assert {path: without_time(each) for path, each in json.loads(shown.out).items()} == expected(caches)
    with pytest.raises(SystemExit) as ended:
        main(["cache", "statistics", "--jobs", "1", str(caches)])
    assert ended.value.code == 0
    assert "cache_0.h5: " in capsys.readouterr().out

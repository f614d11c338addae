"""What was fed from disk, as a reader sees it; other words than archiver's own do not break it."""

from types import SimpleNamespace

import pytest

from archiver.records.dataset import GroupsPart, SharedGroupsPart
from archiver.records.training import Preprocessing
from archiver.report.cautions import _of_shared_groups
from archiver.report.feed_table import feed_table

WINDOW_FILE = {"kind": "window_file", "file": "train.bin", "shape": [9, 2, 3]}
FEED = {
    "inputs": {"x": {"kind": "joined", "sources": [WINDOW_FILE, {"kind": "window_cache", "file": "R2.h5"}]}},
    "windows": 1234,
    "shuffle": "windows",
    "seed": 42,
    "augmentation": {"x": {"operations": [{"operation": "time_shift"}, {"operation": "mixing"}], "seed": 7}},
}


GROUPS = {"subject": GroupsPart(group_count=12, counts={}, left_out_count=0)}
SHARED = {"train": {"test": {"subject": SharedGroupsPart(count=4, first=("s1", "s|2", "s3", "s4"))}}}
STATS = SimpleNamespace(splits={"train": SimpleNamespace(groups=GROUPS)}, shared_groups=SHARED)
OTHERS = [
    7,
    "text",
    [],
    {},
    {"inputs": [1], "augmentation": [2], "windows": "x", "shuffle": 3},
    {"inputs": {"x": {"sources": [1, {"kind": 5}]}}, "augmentation": {"x": {"operations": [1]}}},
]


def table(**data_sets):
    return feed_table(Preprocessing(description=None, layers=(), data_sets=data_sets), STATS)


def test_a_row_for_each_data_set():
    two = {**FEED, "inputs": {"a": WINDOW_FILE, "b": {"kind": "features"}}, "shuffle": False, "augmentation": {}}
    first, second = table(train=FEED, validation=two).rows
    shown = "window file train.bin, window cache R2.h5"
    assert first == ("train", "1,234", shown, "any order, seed 42", "time shift, mixing", "subject 12")
    assert second[2:] == ("a: window file train.bin; b: features", "as they stand", "", "")
    assert not feed_table(None, None)


@pytest.mark.parametrize("feed", OTHERS)
def test_whatever_another_program_wrote(feed):
    assert len(table(train=feed).rows) == isinstance(feed, dict)


def test_groups_in_two_splits_are_a_caution():
    (sentence,) = _of_shared_groups(STATS)
    assert sentence.startswith("**4 groups of the kind subject** stand in the train")
    assert "s|2" not in sentence
    assert sentence.endswith("s3, ...")

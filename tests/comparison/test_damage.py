"""Whatever became of an archive, a comparison with it ends with an answer: never with an error of another kind."""

import json
import random
import shutil

import pytest

from archiver import compare
from archiver.archive.run import Run
from archiver.report.comparison_page import comparison_page
from archiver.report.comparison_screen import comparison_text
from archiver.testing import tiny_run
from tests.property.campaigns import campaign

VALUES = [
    None, True, 0, -1, 1e308, "NaN", "Infinity", "", "x" * 1000, "\x1b[31m", [], {}, [[]], {"unavailable": "x"}, 10**30,
    "\ud800",
]  # fmt: skip
SUFFIXES = (".json", ".csv", ".h5", ".npz", ".keras", ".py", ".jsonl")


def places(value, path=()):
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))
    if path:
        yield path


def damage(path, numbers):
    """Another value somewhere in a document, else other bytes, or fewer."""
    data = path.read_bytes()
    if path.suffix == ".json" and numbers.random() < 0.8:
        document = json.loads(data)
        *way, last = numbers.choice(list(places(document)))
        inner = document
        for key in way:
            inner = inner[key]
        inner[last] = numbers.choice(VALUES)
        path.write_text(json.dumps(document))
        return
    changed = bytearray(data)
    for _ in range(numbers.choice([1, 4, 50])):
        changed[numbers.randrange(len(changed))] = numbers.randrange(256)
    path.write_bytes(changed[: numbers.randrange(len(changed))] if numbers.random() < 0.2 else changed)


@pytest.mark.stress
def test_damaged_archives_are_compared_as_far_as_they_go(tmp_path):
    one = tiny_run(tmp_path, "one", epochs=2, tested=True)
    two = tiny_run(tmp_path, "two", epochs=3, tested=True)
    files = sorted(
        path.relative_to(two.path)
        for path in two.path.rglob("*")
        if path.suffix in SUFFIXES and path.is_file() and "schemas" not in path.parts
    )
    for seed in range(campaign(30, 1500)):
        numbers = random.Random(seed)
        copy = Run(shutil.copytree(two.path, tmp_path / f"copy{seed}"), "two")
        for file in numbers.sample(files, numbers.choice([1, 1, 3])):
            damage(copy.path / file, numbers)
        for before, after in ((one, copy), (copy, one), (two, copy)):
            found = compare(before, after)
            json.dumps(found.as_json(), allow_nan=False)
            assert "\x1b" not in comparison_text(found)
        if seed % 10 == 0:
            assert "\x1b" not in comparison_page(found)
        shutil.rmtree(copy.path)

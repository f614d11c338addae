"""Diffs are unified diffs as other tools write and apply them, in bounded time."""

import difflib
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.comparison import code
from archiver.comparison.code import compared

LINES = st.lists(st.sampled_from(["a = 1", "b = 2", "", "    c = 3", "# d"]), max_size=30)


def diff(before: list[str], after: list[str], **options):
    return compared(("a.py", "a.py"), (before, after), options.get("role", "module"), "changed")


@given(LINES, LINES)
def test_a_diff_leads_from_one_file_to_the_other(before, after):
    found = diff(before, after)
    restored = list(before)
    offset = 0
    lines = iter([*found.diff[2:], "@@ end"])
    line = next(lines)
    while not line.startswith("@@ end"):
        start, _, length = line.split()[1][1:].partition(",")
        old, new = [], []
        line = next(lines)
        while not line.startswith("@@"):
            if line[0] in " -":
                old.append(line[1:])
            if line[0] in " +":
                new.append(line[1:])
            line = next(lines)
        assert len(old) == int(length or 1)
        begin = int(start) - (1 if old else 0) + offset
        assert restored[begin : begin + len(old)] == old
        restored[begin : begin + len(old)] = new
        offset += len(new) - len(old)
    assert restored == after


@given(LINES, LINES)
def test_counts_are_those_of_the_lines(before, after):
    found = diff(before, after)
    assert found.added_lines - found.removed_lines == len(after) - len(before)
    if before == after:
        assert (found.added_lines, found.removed_lines) == (0, 0)


def test_a_change_of_one_line_reads_as_difflib_writes_it():
    before = [f"line {place}" for place in range(40)]
    after = [*before[:20], "another", *before[21:]]
    expected = difflib.unified_diff(before, after, "a.py", "a.py", lineterm="")
    assert list(diff(before, after).diff) == list(expected)


def test_patch_applies_it(tmp_path):
    before, after = b"import keras\nrate = 0.1\nprint(rate)", b"import keras\nrate = 0.2\nprint(rate)\nprint('end')\n"
    (tmp_path / "a.py").write_bytes(before)
    found = diff(code._lines(before), code._lines(after))
    assert "\\ No newline at end of file" in found.diff
    text = "\n".join(found.diff) + "\n"
    subprocess.run(["git", "apply", "-p0", "-"], input=text, text=True, cwd=tmp_path, check=True)
    assert (tmp_path / "a.py").read_bytes() == after


@pytest.mark.parametrize(
    ("before", "after", "only_layout"),
    [
        (["x = 1  # one"], ["x = 1"], True),
        (["x = 1", "y = 2"], ["x = 1", "", "# a note", "y = 2"], True),
        (["if x:", "  y = 1"], ["if x:", "    y = 1"], False),
        (["x = 'a'"], ["x = 'b'"], False),
        (["x = (1,"], ["x = (1, # open"], False),
        (["\0"], ["\0\0"], False),
    ],
)
def test_comments_and_blank_lines_are_told_from_code(before, after, only_layout):
    assert diff(before, after).only_layout is only_layout


def test_hostile_files_take_bounded_time():
    before = ["x"] * 200_000
    began = time.monotonic()
    assert diff([*before, "y"], [*before, "z"]).added_lines == 1
    many = [str(place % 50) for place in range(code.MAXIMAL_LINES)]
    assert diff(many, many[::-1]).added_lines is not None
    found = diff(["a", *before], ["b", *before[1:], "c"])
    assert found.diff == ()
    assert "too many to be compared" in found.note
    long = diff(["x" * 10_000_000], ["y" * 10_000_000])
    assert max(map(len, long.diff)) <= code.MAXIMAL_LINE_LENGTH
    assert time.monotonic() - began < 20


def test_more_files_than_are_compared(monkeypatch, pair):
    from archiver import compare, layout
    from tests.archive.resealing import edit_json

    before, after = pair
    parts = [
        {"path": f"environment/source/m{place}.py", "original_path": f"m{place}.py", "role": "module", "module": None,
         "size_bytes": 1, "sha256": "0" * 64}
        for place in range(4)
    ]  # fmt: skip
    edit_json(after.path_of(layout.SOURCE), lambda d: d["files"].extend(parts))
    monkeypatch.setattr(code, "MAXIMAL_FILES", 2)
    found = compare(before, after)
    assert len(found.code) == len(found.causes) == 2
    assert found.gaps[0].reason == "4 files differ; the first 2 are compared"
    assert all("No such file" in part.note for part in found.code)

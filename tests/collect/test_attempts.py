"""Reading what the kernel tells."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from archiver.collect.attempts import as_ranges, attempt, chosen_in, count_of_ranges, number_in, text_of
from archiver.records.base import Unavailable


def members(text: str) -> set[int]:
    pieces = [piece.split("-") for piece in text.split(",") if piece]
    return {number for piece in pieces for number in range(int(piece[0]), int(piece[-1]) + 1)}


@given(st.sets(st.integers(0, 300)))
def test_ranges_hold_exactly_the_numbers(numbers: set[int]) -> None:
    assert members(as_ranges(numbers)) == numbers
    assert count_of_ranges(as_ranges(numbers)) == len(numbers)


def test_ranges_as_the_kernel_writes_them() -> None:
    assert as_ranges({8, 2, 1, 0}) == "0-2,8"
    assert as_ranges(set()) == ""


def test_small_files(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("-12\n")
    (tmp_path / "choice").write_text("always [madvise] never\n")
    assert number_in(tmp_path / "number") == -12
    assert chosen_in(tmp_path / "choice") == "madvise"
    assert text_of(tmp_path / "none") == ""
    for value in (number_in(tmp_path / "choice"), number_in(tmp_path / "none"), chosen_in(tmp_path / "number")):
        assert isinstance(value, Unavailable)


def test_an_attempt_that_fails_says_why() -> None:
    def fail() -> int:
        raise PermissionError(13, "Permission denied")

    assert attempt(lambda: 3) == 3
    assert "Permission denied" in attempt(fail).unavailable  # type: ignore[union-attr]

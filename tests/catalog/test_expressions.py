"""What expressions mean, and what is said of those that mean nothing."""

import contextlib
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archiver.catalog.expressions import Comparison, IsIn, IsNull, Joined, Not, Value, parse
from archiver.errors import ArgumentError


def value_of(text: str) -> Value:
    parsed = parse(text)
    assert isinstance(parsed, Comparison)
    return parsed.value


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("a > 4GB", 4e9, "bytes"), ("a > 4 GiB", 4 * 2**30, "bytes"), ("a > 1.5h", 5400, "seconds"),
        ("a > 90 min", 5400, "seconds"), ("a > 80 C", 80, "celsius"), ("a > 90%", 0.9, None),
        ("a > -1e-3", -1e-3, None),
        ('a = "x\\"y"', 'x"y', None), ("a = 'it''", "it", None), ("a = true", True, None),
    ],
)  # fmt: skip
def test_values(text: str, value: object, unit: str | None) -> None:
    found = value_of(text.replace("'it''", "'it'"))
    assert found.value == pytest.approx(value) if isinstance(value, float) else found.value == value
    assert found.unit == unit


def test_and_binds_more_than_or_and_not_more_than_both() -> None:
    tree = parse("not a > 1 and b < 2 or c is not null")
    assert isinstance(tree, Joined)
    assert tree.word == "or"
    both, missing = tree.parts
    assert isinstance(both, Joined)
    assert (both.word, isinstance(both.parts[0], Not)) == ("and", True)
    assert isinstance(missing, IsNull)
    assert missing.negated


def test_names_of_odd_characters() -> None:
    parsed = parse("`my metric; DROP TABLE runs` >= 1 and output/kind_loss not in (1, 2)")
    assert isinstance(parsed, Joined)
    first, second = parsed.parts
    assert isinstance(first, Comparison)
    assert first.name.name == "my metric; DROP TABLE runs"
    assert isinstance(second, IsIn)
    assert (second.name.name, second.negated, len(second.values)) == ("output/kind_loss", True, 2)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a >", " "), ("a > 4 parsecs", "parsecs"), ("a andd b", "andd"), ("a > 1 bb", "bb"), ("(a > 1", " "),
        ("a ; b", ";"), ("> 1", ">"), ("a in 1", "1"), ("a is 3", "3"), ("a not 3", "3"), ('a = "x', '"'),
    ],
)  # fmt: skip
def test_errors_point_at_the_word(text: str, word: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        parse(text)
    _, shown, marks = str(raised.value).split("\n")
    begin, end = re.search(r"\^+", marks).span()  # type: ignore[union-attr]
    assert (shown + "  ")[begin:end].strip() == word.strip()


@given(st.text(max_size=200))
@example("(" * 1000)
@example("not " * 1000 + "a = 1")
@example("a = 1" + " and a = 1" * 300)
def test_any_text_is_an_expression_or_an_error(text: str) -> None:
    with contextlib.suppress(ArgumentError):
        assert parse(text)
